package domain

var fobWords = words{}
