package daemon

import (
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/share"
	"github.com/shelffs/shelf/internal/wire"
)

// meetStrangers has a device that was let in while this one was away show that it belongs, and shows the
// same of this device to one that was away. A stranger hears nothing but the question.
func (p *parts) meetStrangers() {
	const frame = 4 + share.MaxCredentials // with its length
	p.host.HandleStranger(share.CredentialsProtocol, frame, p.recognise, func(s wire.Stream) {
		_ = wire.WriteFrame(s, p.account.Credentials())
	})
}

func (p *parts) recognise(t ident.TransportKey, s wire.Stream) {
	message, err := wire.ReadFrame(s, share.MaxCredentials)
	if err == nil {
		err = p.account.Recognise(t, message)
	}
	if err != nil {
		p.log.Debug("a stranger called", "err", err)
		return
	}
	dev, _ := p.account.Allowed(t)
	p.log.Info("a device that joined while this one was away", "device", dev.Short())
}
