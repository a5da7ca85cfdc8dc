# What the reads of a fortnight come to, straight from the files:
#
#   awk -f expect.awk badge-ids.csv prox-reads.csv
#
# Every badge of the list may pass every zone but the server room, Monday to Friday,
# 07:00 to 18:00, the end excluded. A badge that is not on the list is unknown, a
# zone without a right is denied before the hour is looked at.

BEGIN { FS = "," }

{
	gsub(/\r/, "")
	for (i = 1; i <= NF; i++) gsub(/^[ \t]+|[ \t]+$/, "", $i)
}

FNR == 1 { next }

FNR == NR { badge[$1] = 1; next }

{
	reads++
	doors[$4 "/" $5] = 1
	credentials[$3] = 1
	minute = substr($1, 12, 2) * 60 + substr($1, 15, 2)
	if (!($3 in badge)) denied["deny_unknown_credential"]++
	else if ($5 == "Server Room") denied["deny_no_access_right"]++
	else if (weekend(substr($1, 1, 4), substr($1, 6, 2), substr($1, 9, 2)) || minute < 420 || minute >= 1080) denied["deny_outside_schedule"]++
	else allowed++
}

# Days are counted from 1 March of the year 0, a Wednesday.
function weekend(y, m, d,    day) {
	y += 0; m += 0; d += 0
	if (m < 3) { y--; m += 12 }
	day = 365 * y + int(y / 4) - int(y / 100) + int(y / 400) + int((153 * (m - 3) + 2) / 5) + d - 1
	day = (day + 2) % 7 # Monday is 0
	return day >= 5
}

END {
	printf "{\"reads\":%d,\"allowed\":%d,\"denied\":{", reads, allowed
	for (code in denied) { printf "%s\"%s\":%d", comma, code, denied[code]; comma = "," }
	n = 0
	for (k in doors) n++
	c = 0
	for (k in credentials) c++
	printf "},\"doors\":%d,\"credentials\":%d}\n", n, c
}
