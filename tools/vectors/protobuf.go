package main

import (
	"encoding/base64"
	"encoding/json"
	"log"
	"os"
	"sort"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/randfill"
)

type protobufVector struct {
	Name     string          `json:"name"`
	Protobuf string          `json:"protobuf"`
	JSON     json.RawMessage `json:"json"`
}

// protobufVectors fills every stable kind at random, sparsely, and once leaves it empty; of lists only two.
func protobufVectors() []protobufVector {
	must(apiextensionsv1.AddToScheme(scheme.Scheme))
	serializer := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)
	var vectors []protobufVector
	for _, gvk := range stableKinds() {
		for _, fill := range fills(gvk) {
			object := must1(scheme.Scheme.New(gvk))
			fill.filler.Fill(object)
			object.GetObjectKind().SetGroupVersionKind(gvk)
			if vector, ok := vectorOf(gvk.String()+"/"+fill.name, object, serializer); ok {
				vectors = append(vectors, vector)
			}
		}
	}
	return vectors
}

func vectorOf(name string, object runtime.Object, serializer runtime.Encoder) (protobufVector, bool) {
	encoded, err := runtime.Encode(serializer, object)
	if err != nil {
		log.Printf("%s has no protobuf form: %v", name, err)
		return protobufVector{}, false
	}
	// what another Go process would read: some values lose precision on the wire
	gvk := object.GetObjectKind().GroupVersionKind()
	read, _, err := serializer.(runtime.Serializer).Decode(encoded, &gvk, nil)
	must(err)
	read.GetObjectKind().SetGroupVersionKind(gvk)
	return protobufVector{name, base64.StdEncoding.EncodeToString(encoded), must1(json.Marshal(read))}, true
}

// WIDE=1 fills more densely and more often: for a check by hand, too much to commit.
var wide = os.Getenv("WIDE") != ""

type namedFiller struct {
	name   string
	filler *randfill.Filler
}

func fills(gvk schema.GroupVersionKind) []namedFiller {
	var seed int64
	for _, letter := range gvk.String() {
		seed = seed*31 + int64(letter)
	}
	sparse := 0.92
	if large := map[string]bool{"Pod": true, "CustomResourceDefinition": true, "Secret": true}; large[gvk.Kind] {
		sparse = 0.75
	}
	var list []namedFiller
	if !strings.HasSuffix(gvk.Kind, "List") || gvk.Kind == "PodList" || gvk.Kind == "List" {
		list = append(list, namedFiller{"filled", filler(seed, sparse, 1)})
	}
	// one empty pod template is like the other
	if template := gvk.Group == "apps" || gvk.Group == "batch"; len(list) > 0 && (!template || gvk.Kind == "Job") {
		list = append(list, namedFiller{"empty", filler(seed, 1, 0)})
	}
	if wide {
		for i := int64(0); i < 12; i++ {
			list = append(list, namedFiller{"wide", filler(seed+i, 0.05*float64(i+1), 2)})
		}
	}
	return list
}

func filler(seed int64, nilChance float64, elements int) *randfill.Filler {
	return randfill.NewWithSeed(seed).NilChance(nilChance).NumElements(elements, elements).MaxDepth(30).Funcs(
		func(text *string, c randfill.Continue) { *text = word(c) },
		func(bytes *[]byte, c randfill.Continue) { *bytes = []byte(word(c)) },
		func(number *int32, c randfill.Continue) { *number = int32(c.Intn(3)) * (c.Int31() >> 16) },
		func(number *int64, c randfill.Continue) { *number = int64(c.Intn(3)-1) * (c.Int63() >> 8) },
		func(number *float64, c randfill.Continue) { *number = float64(c.Intn(2000)) / 4 },
		func(meta *metav1.TypeMeta, c randfill.Continue) {},
		func(at *metav1.Time, c randfill.Continue) { at.Time = instant(c, 0) },
		func(at *metav1.MicroTime, c randfill.Continue) { at.Time = instant(c, 123456789) },
		func(length *metav1.Duration, c randfill.Continue) {
			length.Duration = time.Duration(c.Int63()>>uint(c.Intn(62))) - time.Duration(c.Intn(9))
		},
		func(quantity *resource.Quantity, c randfill.Continue) {
			texts := []string{"0", "100m", "1536Mi", "2", "1e3", "0.5", "-3Gi", "12345678901", "1.5Gi", "3n"}
			*quantity = resource.MustParse(texts[c.Intn(len(texts))])
		},
		func(value *intstr.IntOrString, c randfill.Continue) {
			*value = []intstr.IntOrString{intstr.FromInt32(int32(c.Intn(9000))), intstr.FromString("25%"), {}}[c.Intn(3)]
		},
		func(extension *runtime.RawExtension, c randfill.Continue) { extension.Raw = document(c) },
		func(fields *metav1.FieldsV1, c randfill.Continue) { fields.Raw = []byte(`{"f:metadata":{}}`) },
		func(value *apiextensionsv1.JSON, c randfill.Continue) { value.Raw = document(c) },
		func(either *apiextensionsv1.JSONSchemaPropsOrArray, c randfill.Continue) {
			either.Schema = &apiextensionsv1.JSONSchemaProps{Type: word(c)}
			if c.Intn(2) == 0 {
				either.Schema, either.JSONSchemas = nil, []apiextensionsv1.JSONSchemaProps{{ID: word(c)}, {}}
			}
		},
		func(either *apiextensionsv1.JSONSchemaPropsOrBool, c randfill.Continue) {
			either.Allows = c.Intn(2) == 0
			if c.Intn(2) == 0 {
				either.Schema = &apiextensionsv1.JSONSchemaProps{Title: word(c)}
			}
		},
		func(either *apiextensionsv1.JSONSchemaPropsOrStringArray, c randfill.Continue) {
			either.Property = []string{word(c)}
			if c.Intn(2) == 0 {
				either.Schema, either.Property = &apiextensionsv1.JSONSchemaProps{Nullable: true}, nil
			}
		},
		func(props *apiextensionsv1.JSONSchemaProps, c randfill.Continue) {
			if c.Intn(3) == 0 {
				c.FillNoCustom(props)
			}
		},
	)
}

func word(c randfill.Continue) string {
	words := []string{"", "a", "node-1", "Größe ✓", "x/y.z", `quote"\<>&`, "line\nbreak"}
	return words[c.Intn(len(words))]
}

func document(c randfill.Continue) []byte {
	texts := []string{`{"a":[1,2.5,null]}`, `"text"`, `{}`, `12`, `{"apiVersion":"v1","kind":"Secret","data":{"k":"dg=="}}`}
	return []byte(texts[c.Intn(len(texts))])
}

func instant(c randfill.Continue, nanos int64) time.Time {
	if c.Intn(5) == 0 {
		return time.Time{}
	}
	return time.Unix(c.Int63()>>31-1<<30, nanos)
}

// stableKinds lists what capim/api/builtin_types.txt covers, sorted.
func stableKinds() []schema.GroupVersionKind {
	var kinds []schema.GroupVersionKind
	options := map[string]bool{"ListOptions": true, "GetOptions": true, "DeleteOptions": true, "CreateOptions": true,
		"UpdateOptions": true, "PatchOptions": true}
	for gvk := range scheme.Scheme.AllKnownTypes() {
		stable := gvk.Version == "v1" || gvk.Version == "v2" || gvk.Group == "policy"
		internal := gvk.Kind == "WatchEvent" || options[gvk.Kind] && gvk.Group+gvk.Version != "v1"
		if stable && !internal {
			kinds = append(kinds, gvk)
		}
	}
	sort.Slice(kinds, func(i, j int) bool { return kinds[i].String() < kinds[j].String() })
	return kinds
}
