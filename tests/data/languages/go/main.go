// Maps 4 bytes of an input, lets the heap grow by 8 MiB, and returns the 4 bytes.
package main

import "unsafe"

//go:wasmimport wrun_v1 input_map
func inputMap(input uint32, offset uint64, len uint32) uint32

//go:wasmimport wrun_v1 output_write
func outputWrite(bytes unsafe.Pointer, len uint32)

var heap []byte

//go:wasmexport wrun:task/window
func window() int32 {
	at := inputMap(0, 0, 4)
	heap = make([]byte, 8<<20)
	for index := range heap {
		heap[index] = 'X'
	}
	outputWrite(unsafe.Pointer(uintptr(at)), 4)
	return 0
}

func main() {}
