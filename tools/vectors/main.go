// Command vectors writes what the Go originals of Kubernetes make of objects, patches and selectors, as JSON
// that tests/unit/wire reads: the truth our own codecs are held to. It needs no cluster and is deterministic.
//
//	go run . ../../tests/unit/wire/vectors
package main

import (
	"bytes"
	"encoding/json"
	"log"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: vectors FOLDER")
	}
	for name, vectors := range map[string]any{
		"protobuf.json":  protobufVectors(),
		"strategic.json": strategicVectors(),
		"jsonpatch.json": jsonPatchVectors(),
		"selectors.json": selectorVectors(),
	} {
		if err := os.WriteFile(filepath.Join(os.Args[1], name), encode(vectors), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// encode writes one vector a line, so that a change shows as the lines it touches.
func encode(vectors any) []byte {
	var rows []json.RawMessage
	must(json.Unmarshal(must1(json.Marshal(vectors)), &rows))
	lines := make([][]byte, 0, len(rows))
	for _, row := range rows {
		lines = append(lines, row)
	}
	return append(append([]byte("[\n"), bytes.Join(lines, []byte(",\n"))...), "\n]\n"...)
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func must1[T any](value T, err error) T {
	must(err)
	return value
}
