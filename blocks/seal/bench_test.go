package seal

import "testing"

const benchLen = 256 << 10

func BenchmarkSeal(b *testing.B) {
	s := testSealer()
	plain := random(1, benchLen)
	dst := make([]byte, 0, Overhead+Padme(benchLen))
	b.SetBytes(benchLen)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.AppendSeal(dst, Data, plain); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	s := testSealer()
	sealed := mustSeal(b, s, Data, random(1, benchLen))
	dst := make([]byte, 0, benchLen)
	for name, open := range map[string]func() error{
		"hot":    func() error { _, err := s.Open(Data, sealed, benchLen, dst); return err },
		"strict": func() error { _, err := s.OpenStrict(Data, sealed, benchLen, dst); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(benchLen)
			b.ReportAllocs()
			for b.Loop() {
				if err := open(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRecord(b *testing.B) {
	s := testSealer()
	header, payload := random(1, 100), random(2, 80)
	sealed := s.SealRecord(header, payload)
	b.Run("seal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.SealRecord(header, payload)
		}
	})
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.OpenRecord(header, sealed); err != nil {
				b.Fatal(err)
			}
		}
	})
}
