package workspace

import "bytes"

// maxNesting limits how deep a file may be nested. The YAML library needs memory in proportion
// to the square of the depth.
const maxNesting = 500

// TooDeep returns the line and the column, from 1, at which a YAML text is nested more than
// 500 levels deep, and false if it is not. It does not parse the text: it counts the brackets
// that are open, wherever they are, and the lists and mappings that start in one line.
func TooDeep(text []byte) (line, column int, deep bool) {
	open := 0
	for row := range bytes.Lines(text) {
		line++
		marks, leading := 0, true
		for i, b := range row {
			switch b {
			case '[', '{':
				open++
			case ']', '}':
				open = max(open-1, 0)
			case '-', '?':
				if leading && i+1 < len(row) && row[i+1] == ' ' {
					marks++
				}
			}
			leading = leading && (b == ' ' || b == '-' || b == '?')
			if open > maxNesting || marks > maxNesting {
				return line, i + 1, true
			}
		}
	}
	return 0, 0, false
}
