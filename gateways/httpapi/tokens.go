package httpapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/schemas/wire"
)

type newTokenInput struct {
	OrgPath
	CommandHeaders
	Body struct {
		Person  domain.ID         `json:"person" doc:"for whom the token speaks"`
		Scope   domain.TokenScope `json:"scope" enum:"full,read,metrics"`
		Expires time.Time         `json:"expires" doc:"exclusive, at most 366 days ahead"`
	}
}

// NewToken is the answer to a token that was issued.
type NewToken struct {
	Token    string        `json:"token" doc:"the token; it is shown here and nowhere else"`
	TokenID  domain.ID     `json:"token_id"`
	Position wire.Position `json:"position"`
}

type newTokenOutput struct {
	Position string `header:"Gatehouse-Position"`
	Key      string `header:"Idempotency-Key"`
	Body     NewToken
}

func (a *API) registerTokens() {
	serve(a, route{effect: commits, usedBy: "everybody in the org for themselves, system managers and above for others"}, huma.Operation{
		OperationID: "NewToken", Method: http.MethodPost, Path: "/v1/orgs/{org}/tokens", DefaultStatus: http.StatusCreated,
		Summary: "Makes a token for a person",
		Description: "The secret is made here, and the ledger gets its hash alone. The answer cannot be given twice: " +
			"a retry with the same Idempotency-Key is refused with command_id_reused. After an answer that was lost, revoke the token " +
			"and issue another one.",
		Tags: []string{"tokens"}, Errors: []int{400, 401, 403, 404, 409, 413, 415, 422, 429, 503, 504},
	}, a.newToken)
}

// newToken makes a secret and issues a token of it.
func (a *API) newToken(ctx context.Context, in *newTokenInput) (*newTokenOutput, error) {
	id, p := commandID(callerOf(ctx), in.Key)
	if p != nil {
		return nil, p
	}
	token := domain.ID(domain.DeriveUUID(id, "token").String())
	secret, hash := newSecret()
	result, err := a.cfg.Store.Execute(ctx, callerOf(ctx).org, eventstore.Request{ID: id, Command: "IssueToken", Actor: callerOf(ctx).actor(), Token: callerOf(ctx).token,
		Fields: []any{&domain.IssueToken{Token: token, Person: in.Body.Person, Hash: hash, Scope: in.Body.Scope, Expires: in.Body.Expires}}})
	if errors.Is(err, eventstore.ErrReused) {
		return nil, problem(http.StatusUnprocessableEntity, "command_id_reused",
			"this Idempotency-Key was used; if it was for this token, its secret was shown once: revoke token %s and issue another with a new key", token)
	}
	if err != nil {
		return nil, a.asProblem(ctx, err)
	}
	return &newTokenOutput{Position: result.Position.String(), Key: id.String(),
		Body: NewToken{Token: TokenText(callerOf(ctx).org, token, secret), TokenID: token, Position: result.Position}}, nil
}
