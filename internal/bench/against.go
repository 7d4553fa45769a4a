//go:build linux

package main

import (
	"fmt"
	"math"
)

// against is one line of a table of others: medians, and what Shelf is to reach, "" for nothing.
type against struct {
	work   string
	unit   string
	values []float64 // NaN: this one does not do that
	want   string
	met    bool
}

// inTurn has each column do a work, rounds times in turn, and returns the medians of the values that it
// yields, by value and column; NaN where it yields none, or NaN.
func inTurn(rounds, columns, values int, take func(column, round int) ([]float64, error)) ([][]float64, error) {
	taken := make([][][]float64, values)
	for i := range taken {
		taken[i] = make([][]float64, columns)
	}
	for round := range rounds {
		for c := range columns {
			vs, err := take(c, round)
			if err != nil {
				return nil, err
			}
			for i, v := range vs {
				if !math.IsNaN(v) {
					taken[i][c] = append(taken[i][c], v)
				}
			}
		}
	}
	medians := make([][]float64, values)
	for i := range medians {
		medians[i] = make([]float64, columns)
		for c := range columns {
			medians[i][c] = math.NaN()
			if len(taken[i][c]) > 0 {
				medians[i][c] = median(taken[i][c])
			}
		}
	}
	return medians, nil
}

func printAgainst(names []string, lines []against) {
	fmt.Printf("| %-44s | %-6s |", "work", "unit")
	for _, n := range names {
		fmt.Printf(" %9s |", n)
	}
	fmt.Printf(" %-58s |\n|%s|%s|", "Shelf is to reach", dash(46), dash(8))
	for range names {
		fmt.Printf("%s|", dash(11))
	}
	fmt.Printf("%s|\n", dash(60))
	for _, l := range lines {
		fmt.Printf("| %-44s | %-6s |", l.work, l.unit)
		for _, v := range l.values {
			text := "–"
			if !math.IsNaN(v) {
				text = number(v)
			}
			fmt.Printf(" %9s |", text)
		}
		verdict := "–"
		switch {
		case l.want == "":
		case l.met:
			verdict = "met: " + l.want
		default:
			verdict = "NOT met: " + l.want
		}
		fmt.Printf(" %-58s |\n", verdict)
	}
}
