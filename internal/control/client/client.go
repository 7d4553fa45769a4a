// Package client speaks the control API of one device's daemon. Its errors carry the kinds
// of package errs, and are *controlapi.Error in the chain.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
)

// Client asks the daemon that listens on one socket. It may be used by several goroutines.
type Client struct{ http *http.Client }

// New makes a client for the socket at path. Nothing is dialled yet.
func New(socket string) *Client {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	return &Client{&http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		},
		DisableCompression:     true,
		MaxResponseHeaderBytes: controlapi.MaxHeader,
	}}}
}

// Close gives up idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// do sends a request and returns the answer's body when the status is 200.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, body any) (io.ReadCloser, error) {
	var r io.Reader
	if body != nil {
		b, err := controlapi.Marshal(body)
		if err != nil {
			return nil, errs.E("client.do", errs.Invalid, "request", err)
		}
		r = bytes.NewReader(b)
	}
	u := url.URL{Scheme: "http", Host: "shelf", Path: "/v1" + path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), r)
	if err != nil {
		return nil, errs.E("client.do", errs.Invalid, path, err)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, transportError(ctx, err)
	}
	if res.StatusCode == http.StatusOK {
		return res.Body, nil
	}
	defer res.Body.Close()
	var f controlapi.Failure
	if err := controlapi.Decode(json.NewDecoder(io.LimitReader(res.Body, controlapi.MaxBody)), &f); err != nil || f.Error == nil {
		return nil, errs.E("client.do", errs.Protocol, "the daemon's answer: "+res.Status, err)
	}
	return nil, f.Error
}

// transportError tells apart: nobody listens, may not, gave up, broken off.
func transportError(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), isNoListener(err):
		return controlapi.E(controlapi.KindNotRunning, "start it: shelf up", "the shelf daemon is not running")
	case errors.Is(err, fs.ErrPermission):
		return controlapi.E("permission", "run this as the user who ran `shelf up`", "the shelf daemon belongs to another user")
	}
	return controlapi.E("closed", "shelf status tells whether it runs; its log is shelf.log in the home folder",
		"the shelf daemon ended while it was answering")
}

// call sends a request and decodes its one answer.
func call[R any](ctx context.Context, c *Client, method, path string, query url.Values, body any) (r R, err error) {
	b, err := c.do(ctx, method, path, query, body)
	if err != nil {
		return r, err
	}
	defer b.Close()
	if err := controlapi.Decode(json.NewDecoder(b), &r); err != nil {
		return r, brokenOff(ctx, err)
	}
	return r, nil
}

// streamed sends a request and decodes a stream of frames; each gets the progress, in order.
// It stops with each's error.
func streamed[P, R any](ctx context.Context, c *Client, method, path string, query url.Values, body any, each func(P) error) (r R, err error) {
	b, err := c.do(ctx, method, path, query, body)
	if err != nil {
		return r, err
	}
	defer b.Close()
	dec := json.NewDecoder(b)
	for {
		var f controlapi.Frame[P, R]
		if err := controlapi.Decode(dec, &f); err != nil {
			return r, brokenOff(ctx, err)
		}
		switch {
		case f.Error != nil:
			return r, f.Error
		case f.Result != nil:
			return *f.Result, nil
		case f.Progress != nil && each != nil:
			if err := each(*f.Progress); err != nil {
				return r, err
			}
		}
	}
}

// brokenOff explains an answer that does not decode: most often the daemon has ended.
func brokenOff(ctx context.Context, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	if ctx.Err() == nil && (errors.As(err, &syntax) || errors.As(err, &kind)) {
		return errs.E("client", errs.Protocol, "the daemon's answer", err)
	}
	return transportError(ctx, err)
}
