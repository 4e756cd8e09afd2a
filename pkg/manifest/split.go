package manifest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// split cuts a stream into its documents and gives each to f, with the line that it begins in. What is too large goes to tooLarge
// with its line, and is skipped.
func split(r io.Reader, f func(text []byte, line int), tooLarge func(line int, err error)) error {
	s := &splitter{emit: f, tooLarge: tooLarge, begin: 1, line: 1}
	in := bufio.NewReaderSize(r, 64<<10)
	if mark, err := in.Peek(3); err == nil && bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = in.Discard(3)
	}
	for total, begins := 0, true; ; {
		piece, err := in.ReadSlice('\n')
		if total += len(piece); total > maxFile {
			return fmt.Errorf("it is larger than %d MiB: give its parts, one by one", maxFile>>20)
		}
		if s.count > maxDocuments {
			return fmt.Errorf("it has more than %d documents: give its parts, one by one", maxDocuments)
		}
		if len(piece) > 0 {
			s.take(piece, begins)
			if begins = piece[len(piece)-1] == '\n'; begins {
				s.line++
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			s.end()
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("reading it: %w", err)
		}
	}
}

type splitter struct {
	emit     func(text []byte, line int)
	tooLarge func(line int, err error)
	buf      []byte
	begin    int // the line that buf begins in
	line     int
	count    int // of documents
	skip     bool
	list     list
}

// list is a block List: "items:" in the first column, and items at one indentation. As long as it fits it is one document; one that
// doesn't is taken apart.
type list struct {
	open   bool
	indent int   // of the dashes; -1 until the first
	cuts   []cut // where items begin in buf
	apart  bool  // some items were given away
}

type cut struct{ offset, line int }

// take adds a line, or a piece of a long one.
func (s *splitter) take(piece []byte, begins bool) {
	if begins && s.separates(piece) || s.skip {
		return
	}
	if len(s.buf)+len(piece) > maxDocument {
		s.apart()
	}
	if len(s.buf)+len(piece) > maxDocument {
		s.tooLarge(s.begin, fmt.Errorf("an object is larger than %d MiB, more than any API server takes", maxDocument>>20))
		s.skip, s.buf, s.list.cuts = true, s.buf[:0], nil
		return
	}
	s.buf = append(s.buf, piece...)
}

// apart gives away all items of a List but the last, which may not be whole yet.
func (s *splitter) apart() {
	cuts := s.list.cuts
	for i, c := range cuts {
		if i == 0 {
			s.give(s.buf[:c.offset], s.begin)
		} else {
			s.give(s.buf[cuts[i-1].offset:c.offset], cuts[i-1].line)
		}
	}
	if len(cuts) > 0 {
		s.list.apart = true
		last := cuts[len(cuts)-1]
		s.buf, s.begin = bytes.Clone(s.buf[last.offset:]), last.line
		s.list.cuts = []cut{{0, last.line}}
	}
}

// give gives away a document, or the item of a List: its dash becomes a blank, so that it is a mapping.
func (s *splitter) give(text []byte, line int) {
	if rest := bytes.TrimLeft(text, " "); bytes.HasPrefix(rest, []byte("- ")) {
		text = bytes.Clone(text)
		text[len(text)-len(rest)] = ' '
	}
	if len(bytes.TrimSpace(text)) > 0 {
		s.count++
		s.emit(bytes.Clone(text), line)
	}
}

// separates ends documents and notes items of Lists. It reports whether the line is no part of a document.
func (s *splitter) separates(line []byte) bool {
	switch {
	case marks(line, "---"):
		s.end()
		if rest := bytes.TrimSpace(line[3:]); len(rest) > 0 && rest[0] != '#' {
			// A document may begin behind the dashes.
			s.buf = append(append(s.buf, "   "...), line[3:]...)
			s.begin = s.line
		}
		return true
	case marks(line, "..."):
		s.end()
		return true
	case bytes.HasPrefix(line, []byte("items:")) && onlyComment(line[len("items:"):]):
		s.list = list{open: true, indent: -1}
	case s.list.open:
		s.item(line)
	}
	return false
}

// item notes where another item of the List begins.
func (s *splitter) item(line []byte) {
	text := bytes.TrimLeft(line, " ")
	indent := len(line) - len(text)
	if onlyComment(text) {
		return
	}
	switch {
	case bytes.HasPrefix(text, []byte("- ")) && (s.list.indent < 0 || indent == s.list.indent):
		s.list.indent = indent
	case indent <= s.list.indent || s.list.indent < 0:
		// What stands behind the items belongs to the List again, which is as good as another item here.
		s.list.open = false
	default:
		return
	}
	if s.skip {
		s.buf, s.begin, s.skip = s.buf[:0], s.line, false
	}
	s.list.cuts = append(s.list.cuts, cut{len(s.buf), s.line})
}

// end gives the document away that was collected.
func (s *splitter) end() {
	if s.list.apart {
		s.apart()
		s.give(s.buf, s.begin)
	} else if len(bytes.TrimSpace(s.buf)) > 0 {
		s.count++
		s.emit(bytes.Clone(s.buf), s.begin)
	}
	s.buf, s.skip, s.begin, s.list = s.buf[:0], false, s.line+1, list{}
}

// marks reports whether a line is a marker of documents.
func marks(line []byte, marker string) bool {
	rest, ok := bytes.CutPrefix(line, []byte(marker))
	return ok && (len(rest) == 0 || bytes.ContainsRune([]byte(" \t\r\n"), rune(rest[0])))
}

func onlyComment(b []byte) bool {
	b = bytes.TrimSpace(b)
	return len(b) == 0 || b[0] == '#'
}
