package conformance

// permitted are the differences that may be. A rule names the cases by a
// prefix of their names and the line by what it must contain; a rule that
// meets no difference fails the test, so that none outlives its reason.
var permitted = []rule{}

type rule struct {
	mode   string // the group it applies to; "" is all of them
	prefix string // of the case's name
	line   string // in the oracle's line
	why    string
}
