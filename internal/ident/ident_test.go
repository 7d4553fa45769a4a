package ident

import "testing"

func TestSignaturesAreSeparatedByType(t *testing.T) {
	k := NewKey()
	id := DeviceIDOf(k)
	body := []byte("body")
	sig := Sign(k, SigBatch, body)
	if !Verify(id[:], SigBatch, body, sig) {
		t.Fatal("own signature refused")
	}
	other := DeviceIDOf(NewKey())
	for name, ok := range map[string]bool{
		"other type":      Verify(id[:], SigLogEntry, body, sig),
		"other body":      Verify(id[:], SigBatch, []byte("bodz"), sig),
		"other key":       Verify(other[:], SigBatch, body, sig),
		"short signature": Verify(id[:], SigBatch, body, sig[:63]),
		"short key":       Verify(id[:31], SigBatch, body, sig),
	} {
		if ok {
			t.Errorf("accepted with %s", name)
		}
	}
}

func TestDeviceIDText(t *testing.T) {
	id := DeviceIDOf(NewKey())
	got, err := ParseDeviceID(id.String())
	if err != nil || got != id {
		t.Fatalf("round trip: %v %v", got, err)
	}
	for _, bad := range []string{"", "abc", id.String() + "a", "!" + id.String()[1:]} {
		if _, err := ParseDeviceID(bad); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}
