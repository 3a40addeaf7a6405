// Counts words.
//
//	wrun map MODULE --call count --split 16M big.txt --reduce merge
//
// A word is a maximal run of ASCII letters and digits. `count` writes a line `WORD COUNT` for each word, in the order of the
// words' bytes; `merge` combines several such tables into one, in any grouping and order.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"wrun"
)

// A table of words and how often they occur.
type table map[string]*uint64

func (table table) add(word []byte, count uint64) {
	if known := table[string(word)]; known != nil {
		*known += count
		return
	}
	table[string(word)] = &count
}

// Writes the table as text.
func (table table) write() error {
	words := make([]string, 0, len(table))
	for word := range table {
		words = append(words, word)
	}
	slices.Sort(words)
	var text bytes.Buffer
	for _, word := range words {
		text.WriteString(word)
		text.WriteByte(' ')
		text.Write(strconv.AppendUint(text.AvailableBuffer(), *table[word], 10))
		text.WriteByte('\n')
	}
	_, err := wrun.Output.Write(text.Bytes())
	return err
}

func isWord(char byte) bool {
	return char >= '0' && char <= '9' || char >= 'A' && char <= 'Z' || char >= 'a' && char <= 'z'
}

//go:wasmexport wrun:task/count
func count() int32 {
	return wrun.Run(func() error {
		inputs := wrun.Inputs()
		if len(inputs) == 0 {
			return errors.New("this task has no input: use --files, --split or --input")
		}
		table := table{}
		// The beginning of a word that goes on in the next chunk.
		var begun []byte
		for chunk := range inputs[0].Chunks(1 << 20) {
			for at := 0; at < len(chunk); {
				end := at
				for end < len(chunk) && isWord(chunk[end]) {
					end++
				}
				switch {
				case end == len(chunk):
					begun = append(begun, chunk[at:]...)
				case len(begun) > 0:
					table.add(append(begun, chunk[at:end]...), 1)
					begun = begun[:0]
				case end > at:
					table.add(chunk[at:end], 1)
				}
				at = end + 1
			}
		}
		if len(begun) > 0 {
			table.add(begun, 1)
		}
		return table.write()
	})
}

//go:wasmexport wrun:task/merge
func merge() int32 {
	return wrun.Run(func() error {
		table := table{}
		for number, input := range wrun.Inputs() {
			text, err := io.ReadAll(input.Reader())
			if err != nil {
				return err
			}
			line := 0
			for row := range bytes.Lines(text) {
				line++
				word, digits, _ := bytes.Cut(bytes.TrimSuffix(row, []byte("\n")), []byte(" "))
				count, err := strconv.ParseUint(string(digits), 10, 64)
				if err != nil || count == 0 || len(word) == 0 || bytes.ContainsFunc(word, func(char rune) bool { return !isWord(byte(char)) }) {
					return fmt.Errorf("table %d: line %d is not `WORD COUNT`", number, line)
				}
				table.add(word, count)
			}
		}
		return table.write()
	})
}

func main() {}
