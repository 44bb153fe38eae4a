package main

import (
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
)

type selectorVector struct {
	Kind    string   `json:"kind"`
	Text    string   `json:"text"`
	Error   string   `json:"error,omitempty"`
	String  string   `json:"string,omitempty"`
	Matches []string `json:"matches,omitempty"`
}

// candidates are the label sets every selector is tried on, by name.
var candidates = []struct {
	name   string
	labels labels.Set
}{
	{"none", labels.Set{}},
	{"a=b", labels.Set{"a": "b"}},
	{"a=c,x=", labels.Set{"a": "c", "x": ""}},
	{"x=baz,n=7", labels.Set{"x": "baz", "n": "7"}},
	{"role", labels.Set{"node-role.kubernetes.io/control-plane": ""}},
	{"in=in,n=-3", labels.Set{"in": "in", "n": "-3"}},
}

func selectorVectors() []selectorVector {
	var vectors []selectorVector
	long := "a123456789012345678901234567890123456789012345678901234567890123"
	for _, text := range []string{
		"", " ", ",", "a", "!a", "! a", "!", "!!a", "a,", "a,,b", ",a", "a=b", "a==b", "a = b", "a!=b", "a===b", "a=!b", "a=b=c", "a=",
		"a!=", "a==,x", "a=b,c=d", "x=b,a=b", "a in (b,c)", "a in (b)", "a in ()", "a in (,)", "a in (b,,c)", "a in (,b", "a in (b",
		"a in (", "a in", "a in b", "a in (b c)", "a in (b=c)", "a in (!)", "a in (b,)", "a in (b,!)", "a notin (b)", "a notin(b)",
		"x notin (baz,),a", "in in (in)", "in", "notin", "notin notin (notin)", "in=in", "a=in", "a b", "a b c", "a=b c", "a=b!", "a(b)", "(a)",
		"a>1", "n>6", "n>7", "n<8", "n<-2", "n>x", "n>9223372036854775808", "n>+1", "a>", "a><1", "a>b=c", "!a=b", "!a in (b)",
		"node-role.kubernetes.io/control-plane", "!node-role.kubernetes.io/control-plane", "tier=control-plane,component in (kube-apiserver,etcd)",
		"-a", "a-", "a/b/c", "/a", "a/", "A.b/c", "a.b/C_d.e", "a_b/c", "a=-b", "a=b-", "a=b/c", "a=$", "a in (b,$)", "a in ($,-)", long, "a=" + long,
		long + "/a", "ä", "a=ä", "\ta\n=\rb ", "a\x00", "a\x00b", "a \x00b", "a=\x00b", "\"a\"", "a=\"b\"", "a;b", "a:b", "a=b;c", "<nil>",
	} {
		selector, err := labels.Parse(text)
		vector := selectorVector{Kind: "label", Text: text}
		if err != nil {
			vector.Error = err.Error()
		} else {
			for _, candidate := range candidates {
				if selector.Matches(candidate.labels) {
					vector.Matches = append(vector.Matches, candidate.name)
				}
			}
		}
		vectors = append(vectors, vector)
	}
	for _, text := range []string{
		"", ",", "a", "a=b", "a==b", "a!=b", "a=", "a!=", "=b", "a=b,c=d", "c=d,a=b", "a=b,,c!=d", "a=b,", `a=\,b`, `a=\=b`, `a=\\b`, `a=\b`, `a=b\`, `a\=b`, "a=b=c",
		`a=b\,c=d`, "metadata.name=x,spec.nodeName!=n", "a!b", "a!==b", "a = b", "a=ä,b=☃", `a=\☃`, `a\,b`, "x", "x=baz", "x!=baz",
	} {
		selector, err := fields.ParseSelector(text)
		vector := selectorVector{Kind: "field", Text: text}
		if err != nil {
			vector.Error = err.Error()
		} else {
			vector.String = selector.String()
			for _, candidate := range candidates {
				if selector.Matches(fields.Set(candidate.labels)) {
					vector.Matches = append(vector.Matches, candidate.name)
				}
			}
		}
		vectors = append(vectors, vector)
	}
	return vectors
}
