//go:build wasip1

// Package wrun writes tasks for wrun in Go. A task is an exported function:
//
//	//go:wasmexport wrun:task/shout
//	func shout() int32 {
//		return wrun.Run(func() error {
//			_, err := wrun.Output.Write(bytes.ToUpper(wrun.Arg()))
//			return err
//		})
//	}
//
//	func main() {}
//
// Build it as a WASI reactor, with Go 1.24 or later:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o shout.wasm .
//	wrun map shout.wasm hello world
//
// Go's allocator takes all memory for its own, so inputs are not mapped into new pages: [Input.ReadAt] copies, and
// [Input.Chunks] maps one piece after another over a buffer.
package wrun

import (
	"errors"
	"io"
	"iter"
	"runtime"
	"unsafe"
)

//go:wasmimport wrun_v1 task_index
func taskIndex() uint64

//go:wasmimport wrun_v1 arg_len
func argLen() uint32

//go:wasmimport wrun_v1 arg_read
func argRead(dst unsafe.Pointer)

//go:wasmimport wrun_v1 input_count
func inputCount() uint32

//go:wasmimport wrun_v1 input_find
func inputFind(name string) int32

//go:wasmimport wrun_v1 input_len
func inputLen(input uint32) uint64

//go:wasmimport wrun_v1 input_read
func inputRead(input uint32, offset uint64, len uint32, dst unsafe.Pointer)

//go:wasmimport wrun_v1 input_map_at
func inputMapAt(input uint32, offset uint64, len uint32, dst unsafe.Pointer) uint32

//go:wasmimport wrun_v1 input_unmap
func inputUnmap(address uint32)

//go:wasmimport wrun_v1 output_write
func outputWrite(bytes unsafe.Pointer, len uint32)

//go:wasmimport wrun_v1 region_find
func regionFind(name string) int32

//go:wasmimport wrun_v1 region_len
func regionLen(region uint32) uint64

//go:wasmimport wrun_v1 region_map_at
func regionMapAt(region uint32, offset uint64, len uint32, dst unsafe.Pointer) uint32

//go:wasmimport wrun_v1 fail
func fail(text string)

//go:wasmimport wrun_v1 log
func logLine(level int32, text string)

// Run calls task and returns what an exported task function has to return. If task returns an error, that is the task's
// error message.
func Run(task func() error) int32 {
	if err := task(); err != nil {
		fail(err.Error())
		return 1
	}
	return 0
}

// Level is the importance of a log line.
type Level int32

// Levels, from the most important one.
const (
	Error Level = iota + 1
	Warn
	Info
	Debug
	Trace
)

// Log writes a log line, attributed to the task.
func Log(level Level, text string) { logLine(int32(level), text) }

// TaskIndex is the position of the task's item in the job, from 0.
func TaskIndex() uint64 { return taskIndex() }

// Arg is the task's argument: the item's text, for a file its path.
func Arg() []byte {
	arg := make([]byte, argLen())
	if len(arg) > 0 {
		argRead(unsafe.Pointer(&arg[0]))
	}
	return arg
}

// Output appends what is written to it to the task's result.
var Output io.Writer = output{}

type output struct{}

func (output) Write(bytes []byte) (int, error) {
	if len(bytes) > 0 {
		outputWrite(unsafe.Pointer(&bytes[0]), uint32(len(bytes)))
	}
	return len(bytes), nil
}

// Input is a file, or a piece of one.
type Input struct {
	index uint32
	len   int64
}

// Inputs are all of the task's inputs: its own file or piece, if its item is one, and the shared ones in the order of the
// command line. The inputs of a merge are the results that it merges.
func Inputs() []Input {
	inputs := make([]Input, inputCount())
	for index := range inputs {
		inputs[index] = Input{uint32(index), int64(inputLen(uint32(index)))}
	}
	return inputs
}

// FindInput is the shared input with this name, if there is one.
func FindInput(name string) (Input, bool) {
	index := inputFind(name)
	if index < 0 {
		return Input{}, false
	}
	return Input{uint32(index), int64(inputLen(uint32(index)))}, true
}

// Len is its length in bytes.
func (input Input) Len() int64 { return input.len }

// ReadAt copies bytes from offset on, as [io.ReaderAt] says.
func (input Input) ReadAt(to []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, errNegative
	}
	count := clip(int64(len(to)), offset, input.len)
	if count > 0 {
		inputRead(input.index, uint64(offset), uint32(count), unsafe.Pointer(&to[0]))
	}
	if count < len(to) {
		return count, io.EOF
	}
	return count, nil
}

// Reader reads it from the start. For large inputs, [Input.Chunks] is faster.
func (input Input) Reader() *io.SectionReader { return io.NewSectionReader(input, 0, input.len) }

// Chunks gives the input in pieces of at most size bytes, in order. They are mapped over one buffer, not copied. Each is valid
// until the loop asks for the next one, and must not be written.
//
//	for chunk := range input.Chunks(1 << 20) {
//		lines += bytes.Count(chunk, []byte("\n"))
//	}
func (input Input) Chunks(size int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		buffer := newBuffer(min(int64(size), input.len))
		for offset := int64(0); offset < input.len; offset += int64(size) {
			count := clip(int64(size), offset, input.len)
			at := inputMapAt(input.index, uint64(offset), uint32(count), buffer.first)
			if !buffer.show(at, count, yield) {
				return
			}
		}
	}
}

// Slice is the task's output slice: its own range of the job's output file.
type Slice struct{ len int64 }

// OutputSlice is the task's output slice, if the job has one.
func OutputSlice() (Slice, bool) {
	index := regionFind("")
	if index < 0 {
		return Slice{}, false
	}
	return Slice{int64(regionLen(uint32(index)))}, true
}

// Len is its length in bytes.
func (slice Slice) Len() int64 { return slice.len }

// ReadAt copies bytes from offset on, as [io.ReaderAt] says.
func (slice Slice) ReadAt(to []byte, offset int64) (int, error) {
	return slice.each(to, offset, io.EOF, func(part, window []byte) { copy(part, window) })
}

// WriteAt copies bytes to offset, as [io.WriterAt] says.
func (slice Slice) WriteAt(from []byte, offset int64) (int, error) {
	return slice.each(from, offset, io.ErrShortWrite, func(part, window []byte) { copy(window, part) })
}

// Bytes of a slice that are mapped at a time, for copying.
const sliceWindow = 1 << 20

// Calls with, for each part of bytes, with the window that belongs to it.
func (slice Slice) each(bytes []byte, offset int64, short error, with func(part, window []byte)) (int, error) {
	if offset < 0 {
		return 0, errNegative
	}
	count := clip(int64(len(bytes)), offset, slice.len)
	buffer := newBuffer(min(int64(count), sliceWindow))
	for done := 0; done < count; {
		part := bytes[done:min(count, done+sliceWindow)]
		at := regionMapAt(0, uint64(offset)+uint64(done), uint32(len(part)), buffer.first)
		buffer.show(at, len(part), func(window []byte) bool { with(part, window); return true })
		done += len(part)
	}
	if count < len(bytes) {
		return count, short
	}
	return count, nil
}

var errNegative = errors.New("negative offset")

// How many of count bytes from offset on there are in something with this length.
func clip(count, offset, length int64) int {
	return int(max(0, min(count, length-offset)))
}

const page = 64 << 10

// The unit in which offsets in a file and addresses of windows agree.
const granule = 4 << 10

// Memory of whole wasm pages, for windows of up to a given length.
type buffer struct {
	// Keeps the memory alive.
	memory []byte
	first  unsafe.Pointer
}

func newBuffer(length int64) buffer {
	covered := (int(length) + granule - 1 + page - 1) / page * page
	memory := make([]byte, covered+page-1)
	start := unsafe.Pointer(&memory[0])
	skip := -uintptr(start) % page
	return buffer{memory, unsafe.Add(start, skip)}
}

// Shows the window at this address, which lies in the buffer, and gives it back.
func (buffer buffer) show(address uint32, length int, see func([]byte) bool) bool {
	// Also if see panics: the collector takes the memory back once nothing refers to it.
	defer func() {
		inputUnmap(address)
		runtime.KeepAlive(buffer.memory)
	}()
	start := unsafe.Add(buffer.first, uintptr(address)-uintptr(buffer.first))
	return see(unsafe.Slice((*byte)(start), length))
}
