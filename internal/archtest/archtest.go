// Package archtest keeps the arrows of ARCHITECTURE.md: which package may import which,
// and which single package may import each large third-party engine. It has only a test.
package archtest
