package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestSpreadOf(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   spread
		text   string
	}{
		{[]float64{7}, spread{7, 7, 7}, "7"},
		{[]float64{9, 1}, spread{5, 1, 9}, "5 (1…9)"},
		{[]float64{30, 1, 2}, spread{2, 1, 30}, "2 (1…30)"},
		{[]float64{4, 1, 100, 2}, spread{3, 1, 100}, "3 (1…100)"},
		{[]float64{2, 2, 2}, spread{2, 2, 2}, "2"},
	} {
		before := append([]float64(nil), c.values...)
		got := spreadOf(c.values)
		assert.Equal(t, c.want, got)
		assert.Equal(t, c.text, got.String())
		assert.Equal(t, before, c.values, "the rounds stay in order")
	}
}

func TestNumber(t *testing.T) {
	for value, want := range map[float64]string{
		0: "0", 1: "1", -1: "−1", 0.0004: "0.000", 0.0294: "0.029", 0.0994: "0.099", 0.0996: "0.10", 0.434: "0.43", 1.25: "1.25",
		9.994: "9.99", 9.996: "10.0", 12.34: "12.3", 99.96: "100", 123.4: "123", 999.6: "1,000", 1234: "1,234", 1234567: "1,234,567",
		-1234.5: "−1,234", 0.5: "0.50", 1e9: "1,000,000,000",
	} {
		assert.Equal(t, want, number(value), "%v", value)
	}
}

func TestLength(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Millisecond: "1 ms", 390 * time.Millisecond: "390 ms", 4 * time.Second: "4 s", 1500 * time.Millisecond: "1.5 s",
	} {
		assert.Equal(t, want, length(d))
	}
}
