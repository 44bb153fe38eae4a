package main

import (
	"encoding/json"
	"errors"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

type patchVector struct {
	Name     string          `json:"name"`
	Kind     string          `json:"kind,omitempty"`
	Original json.RawMessage `json:"original"`
	Patch    json.RawMessage `json:"patch"`
	Result   json.RawMessage `json:"result,omitempty"`
	Error    string          `json:"error,omitempty"`
}

var patchedKinds = map[string]any{
	"v1/Node": corev1.Node{}, "v1/Pod": corev1.Pod{}, "v1/Service": corev1.Service{}, "v1/ServiceAccount": corev1.ServiceAccount{},
	"v1/ConfigMap": corev1.ConfigMap{}, "apps/v1/Deployment": appsv1.Deployment{},
	"apiextensions.k8s.io/v1/CustomResourceDefinition": apiextensionsv1.CustomResourceDefinition{},
}

func strategicVectors() []patchVector {
	var vectors []patchVector
	for _, row := range strategicCases {
		vector := patchVector{Name: row[0], Kind: row[1], Original: json.RawMessage(row[2]), Patch: json.RawMessage(row[3])}
		result, err := guarded(func() ([]byte, error) {
			return strategicpatch.StrategicMergePatch([]byte(row[2]), []byte(row[3]), patchedKinds[row[1]])
		})
		if err != nil {
			vector.Error = err.Error()
		} else {
			vector.Result = result
		}
		vectors = append(vectors, vector)
	}
	return vectors
}

// strategicCases are rows of name, kind, original, patch.
var strategicCases = [][4]string{
	{"labels merge", "v1/Node", `{"metadata":{"labels":{"a":"1","b":"2"}}}`, `{"metadata":{"labels":{"b":null,"c":"3","d":null}}}`},
	{"null of absent map", "v1/Node", `{"metadata":{}}`, `{"metadata":{"labels":{"a":null,"b":"c"}}}`},
	{"taint added", "v1/Node", `{"spec":{"taints":[{"key":"a","effect":"NoSchedule"}]}}`, `{"spec":{"taints":[{"key":"b","effect":"NoExecute"}]}}`},
	{"taints with order", "v1/Node", `{"spec":{"taints":[{"key":"a"}]}}`, `{"spec":{"$setElementOrder/taints":[{"key":"a"}],"taints":[{"key":"a"}]}}`},
	{"condition merged by type", "v1/Node", `{"status":{"conditions":[{"type":"Ready","status":"False","reason":"x"},{"type":"Disk","status":"False"}]}}`,
		`{"status":{"$setElementOrder/conditions":[{"type":"Ready"},{"type":"Disk"}],"conditions":[{"type":"Ready","status":"True"}]}}`},
	{"condition added", "v1/Node", `{"status":{"conditions":[{"type":"A","status":"True"}]}}`, `{"status":{"conditions":[{"type":"B","status":"True"}]}}`},
	{"condition deleted", "v1/Node", `{"status":{"conditions":[{"type":"A"},{"type":"B"}]}}`, `{"status":{"conditions":[{"$patch":"delete","type":"A"}]}}`},
	{"deleted and added", "v1/Node", `{"status":{"conditions":[{"type":"A"},{"type":"B"},{"type":"C"}]}}`,
		`{"status":{"$setElementOrder/conditions":[{"type":"D"},{"type":"C"},{"type":"B"}],"conditions":[{"type":"D","status":"x"},{"$patch":"delete","type":"A"}]}}`},
	{"list replaced", "v1/Node", `{"status":{"conditions":[{"type":"A"},{"type":"B"}]}}`, `{"status":{"conditions":[{"type":"C"},{"$patch":"replace"}]}}`},
	{"list cleared", "v1/Node", `{"status":{"conditions":[{"type":"A"}]}}`, `{"status":{"conditions":[{"$patch":"replace"}]}}`},
	{"empty list in patch", "v1/Node", `{"status":{"conditions":[{"type":"A"}]}}`, `{"status":{"conditions":[]}}`},
	{"null list", "v1/Node", `{"status":{"conditions":[{"type":"A"}]}}`, `{"status":{"conditions":null}}`},
	{"list absent in original", "v1/Node", `{"status":{}}`, `{"status":{"conditions":[{"type":"A","reason":null},{"$patch":"delete","type":"B"}]}}`},
	{"list over null", "v1/Node", `{"status":{"conditions":null}}`, `{"status":{"conditions":[{"type":"A"}]}}`},
	{"list over scalar", "v1/Node", `{"status":{"conditions":"x"}}`, `{"status":{"conditions":[{"type":"A"}]}}`},
	{"addresses by type", "v1/Node", `{"status":{"addresses":[{"type":"InternalIP","address":"1"},{"type":"ExternalIP","address":"2"}]}}`,
		`{"status":{"addresses":[{"type":"InternalIP","address":"3"}]}}`},
	{"finalizers merged", "v1/Node", `{"metadata":{"finalizers":["a","b"]}}`, `{"metadata":{"finalizers":["c","a"]}}`},
	{"finalizers ordered", "v1/Node", `{"metadata":{"finalizers":["a","b"]}}`, `{"metadata":{"$setElementOrder/finalizers":["c","b","a"],"finalizers":["c"]}}`},
	{"finalizers order alone", "v1/Node", `{"metadata":{"finalizers":["a","b","s"]}}`, `{"metadata":{"$setElementOrder/finalizers":["b","a"]}}`},
	{"finalizer deleted", "v1/Node", `{"metadata":{"finalizers":["a","b","c"]}}`, `{"metadata":{"$deleteFromPrimitiveList/finalizers":["b"]}}`},
	{"finalizer deleted in order", "v1/Node", `{"metadata":{"finalizers":["a","b","c"]}}`,
		`{"metadata":{"$deleteFromPrimitiveList/finalizers":["b"],"$setElementOrder/finalizers":["c","a","d"],"finalizers":["d"]}}`},
	{"delete from absent list", "v1/Node", `{"metadata":{}}`, `{"metadata":{"$deleteFromPrimitiveList/finalizers":["b"]}}`},
	{"delete from scalar", "v1/Node", `{"metadata":{"finalizers":"b"}}`, `{"metadata":{"$deleteFromPrimitiveList/finalizers":["b"]}}`},
	{"delete from atomic list", "v1/Pod", `{"spec":{"containers":[{"name":"a","args":["1","2","1"]}]}}`,
		`{"spec":{"containers":[{"name":"a","$deleteFromPrimitiveList/args":["1"]}]}}`},
	{"delete list without name", "v1/Node", `{"metadata":{"finalizers":["a"]}}`, `{"metadata":{"$deleteFromPrimitiveList":["a"]}}`},
	{"order without name", "v1/Node", `{"metadata":{"finalizers":["a"]}}`, `{"metadata":{"$setElementOrder":["a"]}}`},
	{"order is no list", "v1/Node", `{"metadata":{"finalizers":["a"]}}`, `{"metadata":{"$setElementOrder/finalizers":"a"}}`},
	{"order of null list", "v1/Node", `{"metadata":{"finalizers":null}}`, `{"metadata":{"$setElementOrder/finalizers":["a"],"finalizers":["a"]}}`},
	{"order of absent lists", "v1/Node", `{"metadata":{}}`, `{"metadata":{"$setElementOrder/finalizers":["a"]}}`},
	{"order of unknown field", "v1/Node", `{"metadata":{"nope":["a"]}}`, `{"metadata":{"$setElementOrder/nope":["a"]}}`},
	{"order contradicts patch", "v1/Node", `{"metadata":{"finalizers":["a"]}}`, `{"metadata":{"$setElementOrder/finalizers":["c","b"],"finalizers":["b","c"]}}`},
	{"order misses patch item", "v1/Node", `{"metadata":{"finalizers":["a"]}}`, `{"metadata":{"$setElementOrder/finalizers":["a"],"finalizers":["b"]}}`},
	{"order empty", "v1/Node", `{"metadata":{"finalizers":["b","a"]}}`, `{"metadata":{"$setElementOrder/finalizers":[],"finalizers":["c"]}}`},
	{"order of two empties", "v1/Node", `{"metadata":{"finalizers":[]}}`, `{"metadata":{"$setElementOrder/finalizers":["x"],"finalizers":[]}}`},
	{"order new list", "v1/Node", `{"status":{}}`, `{"status":{"$setElementOrder/conditions":[{"type":"A"},{"type":"B"}],"conditions":[{"type":"A"},{"type":"B","$patch":"delete"}]}}`},
	{"owner by uid", "v1/Pod", `{"metadata":{"ownerReferences":[{"uid":"1","name":"a"},{"uid":"2","name":"b"}]}}`,
		`{"metadata":{"ownerReferences":[{"uid":"2","name":"c"},{"uid":"3","name":"d"}]}}`},
	{"containers nested", "v1/Pod", `{"spec":{"containers":[{"name":"a","image":"1","env":[{"name":"X","value":"1"},{"name":"Y","value":"2"}]},{"name":"b"}]}}`,
		`{"spec":{"containers":[{"name":"a","image":"2","env":[{"name":"Y","value":"3"},{"name":"Z","value":"4"}]}]}}`},
	{"containers reordered", "v1/Pod", `{"spec":{"containers":[{"name":"a"},{"name":"s"},{"name":"b"}]}}`,
		`{"spec":{"$setElementOrder/containers":[{"name":"b"},{"name":"a"}],"containers":[{"name":"b","image":"i"}]}}`},
	{"atomic list replaced", "v1/Pod", `{"spec":{"containers":[{"name":"a","args":["1","2"]}]}}`, `{"spec":{"containers":[{"name":"a","args":["3"]}]}}`},
	{"tolerations atomic", "v1/Pod", `{"spec":{"tolerations":[{"key":"a"}]}}`, `{"spec":{"tolerations":[{"key":"b"}]}}`},
	{"merge key missing in patch", "v1/Pod", `{"spec":{"containers":[{"name":"a"}]}}`, `{"spec":{"containers":[{"image":"x"}]}}`},
	{"merge key missing in original", "v1/Pod", `{"spec":{"containers":[{"image":"x"}]}}`, `{"spec":{"containers":[{"name":"a"}]}}`},
	{"elements of other types", "v1/Pod", `{"spec":{"containers":["a"]}}`, `{"spec":{"containers":[{"name":"a"}]}}`},
	{"null element", "v1/Pod", `{"spec":{"containers":[{"name":"a"},{"name":"b"}]}}`, `{"spec":{"containers":[{"name":"a","image":null}]}}`},
	{"list of lists", "v1/Pod", `{"spec":{"containers":[[1]]}}`, `{"spec":{"containers":[[2]]}}`},
	{"volume source retained", "v1/Pod", `{"spec":{"volumes":[{"name":"v","emptyDir":{}},{"name":"w","hostPath":{"path":"/"}}]}}`,
		`{"spec":{"volumes":[{"$retainKeys":["name","secret"],"name":"v","secret":{"secretName":"s"}}]}}`},
	{"retainKeys misses a key", "v1/Pod", `{"spec":{"volumes":[{"name":"v","emptyDir":{}}]}}`, `{"spec":{"volumes":[{"$retainKeys":["name"],"name":"v","secret":{}}]}}`},
	{"retainKeys is no list", "v1/Pod", `{"spec":{"volumes":[{"name":"v"}]}}`, `{"spec":{"volumes":[{"$retainKeys":"name","name":"v"}]}}`},
	{"retainKeys on strategy", "apps/v1/Deployment", `{"spec":{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":1}}}}`,
		`{"spec":{"strategy":{"$retainKeys":["type"],"type":"Recreate","rollingUpdate":null}}}`},
	{"retainKeys in new element", "v1/Pod", `{"spec":{}}`, `{"spec":{"volumes":[{"$retainKeys":["name"],"name":"v"}]}}`},
	{"map replaced", "v1/Pod", `{"spec":{"securityContext":{"runAsUser":1,"fsGroup":2}}}`, `{"spec":{"securityContext":{"$patch":"replace","runAsUser":3}}}`},
	{"map deleted", "v1/Pod", `{"spec":{"securityContext":{"runAsUser":1}}}`, `{"spec":{"securityContext":{"$patch":"delete"}}}`},
	{"map delete of absent", "v1/Pod", `{"spec":{}}`, `{"spec":{"securityContext":{"$patch":"delete","runAsUser":1},"hostNetwork":true}}`},
	{"map directive unknown", "v1/Pod", `{"spec":{"securityContext":{}}}`, `{"spec":{"securityContext":{"$patch":"explode"}}}`},
	{"map directive merge", "v1/Pod", `{"spec":{"securityContext":{"runAsUser":1}}}`, `{"spec":{"securityContext":{"$patch":"merge","fsGroup":1}}}`},
	{"list directive unknown", "v1/Pod", `{"spec":{"containers":[{"name":"a"}]}}`, `{"spec":{"containers":[{"name":"a","$patch":"explode"}]}}`},
	{"list directive merge", "v1/Pod", `{"spec":{"containers":[{"name":"a"}]}}`, `{"spec":{"containers":[{"name":"a","$patch":"merge"}]}}`},
	{"list delete without key", "v1/Pod", `{"spec":{"containers":[{"name":"a"}]}}`, `{"spec":{"containers":[{"$patch":"delete"}]}}`},
	{"whole replaced", "v1/Pod", `{"metadata":{"name":"a"},"spec":{"nodeName":"n"}}`, `{"$patch":"replace","metadata":{"name":"b"}}`},
	{"whole deleted", "v1/Pod", `{"metadata":{"name":"a"}}`, `{"$patch":"delete"}`},
	{"embedded source", "v1/Pod", `{"spec":{"volumes":[{"name":"v","configMap":{"name":"a","items":[{"key":"k","path":"p"}]}}]}}`,
		`{"spec":{"volumes":[{"name":"v","configMap":{"name":"b","items":[{"key":"z","path":"p"}]}}]}}`},
	{"ports by containerPort", "v1/Pod", `{"spec":{"containers":[{"name":"a","ports":[{"containerPort":53,"protocol":"UDP"},{"containerPort":53,"protocol":"TCP"},{"containerPort":1}]}]}}`,
		`{"spec":{"containers":[{"name":"a","ports":[{"containerPort":53,"name":"dns"}]}]}}`},
	{"service ports by port", "v1/Service", `{"spec":{"ports":[{"port":80,"name":"a"},{"port":443,"name":"b"}]}}`,
		`{"spec":{"$setElementOrder/ports":[{"port":443},{"port":80}],"ports":[{"port":443,"nodePort":1}]}}`},
	{"secrets by name", "v1/ServiceAccount", `{"secrets":[{"name":"a"}],"imagePullSecrets":[{"name":"p"}]}`, `{"secrets":[{"name":"b"}],"imagePullSecrets":[{"name":"q"}]}`},
	{"unknown map on both sides", "v1/Node", `{"spec":{"nope":{"a":1}}}`, `{"spec":{"nope":{"b":1}}}`},
	{"unknown list on both sides", "v1/Node", `{"spec":{"nope":[1]}}`, `{"spec":{"nope":[2]}}`},
	{"unknown on one side", "v1/Node", `{"spec":{}}`, `{"spec":{"nope":{"b":[1,{"$patch":"delete"}]}}}`},
	{"other letter case", "v1/Node", `{"spec":{"TAINTS":[{"key":"a"}]}}`, `{"spec":{"TAINTS":[{"key":"b"}]}}`},
	{"map where list belongs", "v1/Node", `{"status":{"conditions":{"a":1}}}`, `{"status":{"conditions":{"b":1}}}`},
	{"list where map belongs", "v1/Node", `{"status":[1]}`, `{"status":[2]}`},
	{"list where scalar belongs", "v1/Node", `{"spec":{"podCIDR":["a"]}}`, `{"spec":{"podCIDR":["b"]}}`},
	{"map of maps", "v1/Node", `{"metadata":{"labels":{"a":{"x":1}}}}`, `{"metadata":{"labels":{"a":{"y":1}}}}`},
	{"map of lists", "v1/Node", `{"metadata":{"labels":{"a":[1]}}}`, `{"metadata":{"labels":{"a":[2]}}}`},
	{"podCIDRs merge", "v1/Node", `{"spec":{"podCIDRs":["a"]}}`, `{"spec":{"podCIDRs":["b"]}}`},
	{"scalars", "v1/Node", `{"spec":{"unschedulable":false,"podCIDR":"a"}}`, `{"spec":{"unschedulable":true,"podCIDR":null,"providerID":"p"}}`},
	{"data", "v1/ConfigMap", `{"data":{"a":"1","b":"2"}}`, `{"data":{"a":"3","b":null}}`},
	{"numbers", "v1/Node", `{"metadata":{"generation":1}}`, `{"metadata":{"generation":2.0}}`},
	{"crd conversion", "apiextensions.k8s.io/v1/CustomResourceDefinition", `{"spec":{"conversion":{"strategy":"None"},"versions":[{"name":"v1"}]}}`,
		`{"spec":{"conversion":{"strategy":"Webhook","webhook":{"clientConfig":{"caBundle":"YQ=="}}}}}`},
	{"crd schema default", "apiextensions.k8s.io/v1/CustomResourceDefinition", `{"spec":{"versions":[{"name":"v1"}],"names":{"shortNames":["a"]}}}`,
		`{"spec":{"versions":[{"name":"v2"}],"names":{"shortNames":["b"]}}}`},
}

func jsonPatchVectors() []patchVector {
	original := `{"a":{"b":[1,2,{"c":null}],"d/e":{"~f":"g"}},"h":"i","n":null,"t":true,"one":1}`
	var vectors []patchVector
	for _, patch := range []string{
		`[]`, `[{"op":"add","path":"/x","value":1}]`, `[{"op":"add","path":"/a/b/1","value":9}]`, `[{"op":"add","path":"/a/b/-","value":9}]`,
		`[{"op":"add","path":"/a/b/3","value":9}]`, `[{"op":"add","path":"/a/b/4","value":9}]`, `[{"op":"add","path":"/a/b/-1","value":9}]`,
		`[{"op":"add","path":"/a/b/-5","value":9}]`, `[{"op":"add","path":"/a/b/x","value":9}]`, `[{"op":"add","path":"/x/y","value":1}]`, `[{"op":"add","path":"","value":{}}]`,
		`[{"op":"add","path":"/h/y","value":1}]`, `[{"op":"add","path":"/x"}]`, `[{"op":"add","value":1}]`, `[{"op":"add","path":"/a/d~1e/~0f","value":"z"}]`,
		`[{"op":"remove","path":"/h"}]`, `[{"op":"remove","path":"/zz"}]`, `[{"op":"remove","path":"/n"}]`, `[{"op":"remove","path":"/a/b/0"}]`, `[{"op":"remove","path":"/a/b/3"}]`,
		`[{"op":"remove","path":"/a/b/-1"}]`, `[{"op":"remove","path":"/a/b/-"}]`, `[{"op":"replace","path":"/h","value":"z"}]`, `[{"op":"replace","path":"/new","value":"z"}]`,
		`[{"op":"replace","path":"/a/b/1","value":"z"}]`, `[{"op":"replace","path":"/a/b/7","value":"z"}]`, `[{"op":"replace","path":"","value":{"x":1}}]`,
		`[{"op":"replace","path":"","value":3}]`, `[{"op":"move","from":"/h","path":"/x"}]`, `[{"op":"move","from":"/a/b/0","path":"/a/b/-"}]`, `[{"op":"move","from":"/zz","path":"/x"}]`,
		`[{"op":"move","path":"/x"}]`, `[{"op":"copy","from":"/a","path":"/x"},{"op":"add","path":"/x/b/0","value":7}]`, `[{"op":"copy","from":"/zz","path":"/x"}]`,
		`[{"op":"test","path":"/h","value":"i"}]`, `[{"op":"test","path":"/h","value":"j"}]`, `[{"op":"test","path":"/t","value":1}]`, `[{"op":"test","path":"/one","value":true}]`,
		`[{"op":"test","path":"/n","value":null}]`, `[{"op":"test","path":"/zz","value":null}]`, `[{"op":"test","path":"/zz","value":1}]`, `[{"op":"test","path":"/n"}]`,
		`[{"op":"test","path":"/a","value":{"d/e":{"~f":"g"},"b":[1,2,{"c":null}]}}]`, `[{"op":"test","path":"/a/b","value":[1,2]}]`, `[{"op":"test","path":"/a/b/0","value":1}]`,
		`[{"op":"test","path":"/a/b/9","value":1}]`, `[{"op":"explode","path":"/h"}]`, `[{"path":"/h"}]`, `[{"op":1,"path":"/h"}]`, `{"op":"add"}`, `[1]`, `[{"op":"add","path":5}]`,
		`[{"op":"add","path":"x","value":1}]`, `[{"op":"add","path":"/x","value":1},{"op":"test","path":"/x","value":2}]`, `[{"op":"add","path":"/","value":1}]`,
		`[{"op":"add","path":"/a/b/00","value":1}]`, `[{"op":"add","path":"/a/b/+1","value":1}]`, `[{"op":"remove","path":"/a/b/2/c"}]`,
	} {
		vector := patchVector{Name: patch, Original: json.RawMessage(original), Patch: json.RawMessage(patch)}
		decoded, err := jsonpatch.DecodePatch([]byte(patch))
		if err == nil {
			vector.Result, err = guarded(func() ([]byte, error) { return decoded.Apply([]byte(original)) })
		}
		if err != nil {
			vector.Error = err.Error()
		}
		vectors = append(vectors, vector)
	}
	return vectors
}

// guarded turns a panic into an error: some patches make the originals panic, and must be refused by us.
func guarded(apply func() ([]byte, error)) (result []byte, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			result, err = nil, errors.New("panic")
		}
	}()
	return apply()
}
