package control

import "net"

// listenPrivate relies on the folder, which lies in the user's profile.
func listenPrivate(path string) (net.Listener, error) { return net.Listen("unix", path) }
