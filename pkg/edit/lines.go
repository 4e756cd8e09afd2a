package edit

import (
	"sort"
	"strings"
)

// lineIndex holds the offset at which each line starts.
type lineIndex []int

func indexLines(content string) lineIndex {
	index := lineIndex{0}
	for i := 0; ; {
		n := strings.IndexByte(content[i:], '\n')
		if n < 0 {
			return index
		}
		i += n + 1
		index = append(index, i)
	}
}

// of returns the line, from 1, on which the byte at offset stands.
func (l lineIndex) of(offset int) int {
	return sort.Search(len(l), func(i int) bool { return l[i] > offset })
}

// lineStart returns where the line of offset starts, lineEnd where the next one does.
func lineStart(content string, offset int) int {
	return strings.LastIndexByte(content[:offset], '\n') + 1
}

func lineEnd(content string, offset int) int {
	if n := strings.IndexByte(content[offset:], '\n'); n >= 0 {
		return offset + n + 1
	}
	return len(content)
}

// newline returns the line ending that the content uses.
func newline(content string) string {
	if n := strings.IndexByte(content, '\n'); n > 0 && content[n-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// indentOf returns the white space before offset on its line.
func indentOf(content string, offset int) string {
	start := lineStart(content, offset)
	end := start
	for end < offset && (content[end] == ' ' || content[end] == '\t') {
		end++
	}
	return content[start:end]
}

// blank reports whether s is white space only.
func blank(s string) bool { return strings.Trim(s, " \t\r\n") == "" }
