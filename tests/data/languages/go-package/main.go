// Uses all of the package for Go.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"wrun"
)

// Writes the argument to the middle of the output slice, and returns what was read from the shared input `data`.
//
//go:wasmexport wrun:task/all
func all() int32 {
	return wrun.Run(func() error {
		slice, ok := wrun.OutputSlice()
		if !ok {
			return errors.New("no output slice")
		}
		arg := bytes.Repeat(wrun.Arg(), int(slice.Len()))[:slice.Len()-2]
		if count, err := slice.WriteAt(arg, 1); count != len(arg) || err != nil {
			return fmt.Errorf("wrote %d: %w", count, err)
		}
		if count, err := slice.WriteAt(arg, slice.Len()-1); count != 1 || err != io.ErrShortWrite {
			return fmt.Errorf("wrote %d at the end: %w", count, err)
		}
		again := make([]byte, len(arg)+2)
		if count, err := slice.ReadAt(again, 1); count != len(arg)+1 || err != io.EOF || !bytes.Equal(again[:len(arg)], arg) {
			return fmt.Errorf("read %d: %w", count, err)
		}

		input, ok := wrun.FindInput("data")
		if _, other := wrun.FindInput("none"); !ok || other {
			return errors.New("inputs are not found by their names")
		}
		if len(wrun.Inputs()) != 1 || wrun.Inputs()[0] != input {
			return errors.New("inputs are not found by their numbers")
		}
		text, err := io.ReadAll(input.Reader())
		if err != nil || int64(len(text)) != input.Len() {
			return fmt.Errorf("read %d bytes: %w", len(text), err)
		}
		rest := text
		for chunk := range input.Chunks(70_001) {
			if !bytes.HasPrefix(rest, chunk) {
				return errors.New("a chunk is not what was read")
			}
			rest = rest[len(chunk):]
		}
		for range input.Chunks(1) {
			break
		}
		part := make([]byte, 10)
		if count, err := input.ReadAt(part, input.Len()-5); count != 5 || err != io.EOF || len(rest) != 0 {
			return fmt.Errorf("read %d at the end: %w", count, err)
		}
		if _, err := input.ReadAt(part, -1); err == nil {
			return errors.New("read before the start")
		}
		wrun.Log(wrun.Warn, fmt.Sprint("task ", wrun.TaskIndex()))
		_, err = fmt.Fprintf(wrun.Output, "%s %d", part[:5], len(text))
		return err
	})
}

//go:wasmexport wrun:task/fails
func fails() int32 {
	return wrun.Run(func() error { return errors.New("line 3: not a number") })
}

func main() {}
