// Package edit changes single values in files that belong to somebody else. A parser finds the byte span, a splice
// replaces it, and a second parse proves that nothing but the wanted value changed and that no comment was lost;
// otherwise there is no splice. A foreign file is never re-encoded: comments, order and blank lines survive.
//
// The package is pure: it reads and writes no file. Contents may be masked (see Mask): a masked file has the offsets,
// lines and structure of the true one, so splices made from it fit the true bytes.
package edit

import "errors"

// ErrRefused marks edits that the package declines because the file's shape leaves room for doubt.
var ErrRefused = errors.New("refusing to edit")
