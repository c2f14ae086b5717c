package chart

import (
	"math"
	"strconv"
)

// Size is the length of the sides of the box in which paths are drawn: the viewBox
// of their SVG element is 0 0 Size Size.
const Size = 1000

// Point is a position in the box in percent: X from the left, Y from the bottom. A
// Y of NaN is a gap.
type Point struct{ X, Y float64 }

// Line returns the path through points. A single point between gaps is a dot.
func Line(points []Point) string {
	var p path
	drawing := false
	for i, at := range points {
		if math.IsNaN(at.Y) {
			drawing = false
			continue
		}
		if drawing {
			p.to('L', at)
			continue
		}
		p.to('M', at)
		if i+1 == len(points) || math.IsNaN(points[i+1].Y) {
			p.text = append(p.text, "h0"...)
		}
		drawing = true
	}
	return string(p.text)
}

// Area returns the path around the area between the points and the bottom, with one
// closed piece for each stretch without a gap.
func Area(points []Point) string {
	var p path
	for i := 0; i < len(points); i++ {
		if math.IsNaN(points[i].Y) {
			continue
		}
		p.to('M', Point{points[i].X, 0})
		for ; i < len(points) && !math.IsNaN(points[i].Y); i++ {
			p.to('L', points[i])
		}
		p.to('L', Point{points[i-1].X, 0})
		p.text = append(p.text, 'Z')
	}
	return string(p.text)
}

// Box is a rectangle in percent; Left and Low are its lower left corner.
type Box struct{ Left, Low, Width, Height float64 }

// Boxes returns the path around boxes, without those that have no width or height.
func Boxes(boxes []Box) string {
	var p path
	for _, b := range boxes {
		if b.Height <= 0 || b.Width <= 0 {
			continue
		}
		p.to('M', Point{b.Left, b.Low + b.Height})
		p.length('h', b.Width)
		p.length('v', b.Height)
		p.length('h', -b.Width)
		p.text = append(p.text, 'Z')
	}
	return string(p.text)
}

// path builds the d attribute of an SVG path.
type path struct{ text []byte }

func (p *path) to(command byte, at Point) {
	p.text = append(p.text, command)
	p.number(at.X)
	p.text = append(p.text, ' ')
	p.number(100 - at.Y)
}

func (p *path) length(command byte, percent float64) {
	p.text = append(p.text, command)
	p.number(percent)
}

// number appends percent of the box's size, rounded to a tenth.
func (p *path) number(percent float64) {
	v := math.Round(percent*Size/100*10) / 10
	p.text = strconv.AppendFloat(p.text, v, 'f', -1, 64)
}
