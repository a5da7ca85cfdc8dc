package domain_test

import (
	"encoding/json"

	"gatehouse/domain"
	"gatehouse/domain/explain"
)

func init() {
	domain.ExplainWith = func(seen *domain.State, now domain.View, viewer domain.ID, q domain.Question) ([]byte, string, error) {
		e, err := explain.Explain(seen, q)
		if err != nil {
			return nil, "", err
		}
		if viewer != "" {
			e = explain.ToldTo(now, viewer, e)
		}
		body, err := json.Marshal(e)
		return body, e.String(), err
	}
}
