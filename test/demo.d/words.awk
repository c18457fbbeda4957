# test/demo.d/words.awk
#       Text to the words that carry meaning: lower case, no punctuation, no
#       stop words.  Averages of word vectors are blurred by "a", "of" and "to".

BEGIN {
    n = split("a an and are as at be by can for from i in into is it its my not of on or " \
        "that the this to using via which with you your", list, " ")
    for (i = 1; i <= n; i++)
        stop[list[i]] = 1
}

{
    $0 = tolower($0)
    gsub(/[^a-z0-9+]+/, " ")
    line = ""
    for (i = 1; i <= NF; i++)
        if (!($i in stop))
            line = line " " $i
    print substr(line, 2)
}
