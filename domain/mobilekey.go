package domain

var mobileKeyWords = words{}
