# test/demo.d/rows.awk
#       "name <tab> summary <tab> x1 x2 ... xn" to lines for COPY (id, name, summary, embedding).
#
# Every 300th row is held out: it goes to file `held_out` and becomes a query
# whose answer is not itself in the table.  A text without a known word has the
# zero vector, which has no direction and is left out.

BEGIN { FS = OFS = "\t" }

{
    vector = $3
    sub(/ +$/, "", vector)
    if (vector ~ /^[-0 ]*$/)
        next
    gsub(/ +/, ",", vector)
    gsub(/\\/, "\\\\", $1)
    gsub(/\\/, "\\\\", $2)
    row = ++id OFS $1 OFS $2 OFS "{" vector "}"
    if (id % 300 == 150)
        print row >held_out
    else
        print row
}
