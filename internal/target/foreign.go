package target

import (
	"slices"
	"strings"
)

// foreign lists the options of other programs that addresses contain, as hosting providers
// issue them and as other clients read them, in the form of foreignName. They are ignored
// wherever an address can be given. Those that would weaken TLS are ignored, too: --ca and
// --insecure are the only way.
func foreign(k Kind) []string {
	common := []string{
		"connectionname", "connecttimeout", "connectiontimeout", "keepalive", "name", "nodelay", "ssl", "sslopts", "ssloptions", "timeout", "tls",
	}
	return append(common, map[Kind][]string{
		RabbitMQ: {
			"heartbeat", "heartbeatinterval", "requestedheartbeat", "framemax", "channelmax", "locale", "product", "authmechanism", "mechanism", "cacertfile",
			"certfile", "keyfile", "depth", "verify", "failifnopeercert", "servernameindication", "keepalivedelay", "sockettimeout", "connectionattempts",
			"retrydelay", "reconnect", "reconnectdelay", "blockedconnectiontimeout", "stacktimeout", "clientproperties", "backpressuredetection",
		},
		Redis: {
			"family", "db", "database", "protocol", "clientname", "identitysuffix", "encoding", "encodingerrors", "decoderesponses", "commandtimeout",
			"sockettimeout", "socketconnecttimeout", "socketkeepalive", "healthcheckinterval", "retryontimeout", "maxconnections", "dialtimeout", "readtimeout",
			"writetimeout", "idletimeout", "pooltimeout", "poolsize", "poolfifo", "minidleconns", "maxidleconns", "maxactiveconns", "connmaxidletime",
			"connmaxlifetime", "maxconnage", "maxretries", "minretrybackoff", "maxretrybackoff", "lazyconnect", "enablereadycheck", "enableofflinequeue",
			"maxretriesperrequest", "autoresubscribe", "autoresendunfulfilledcommands", "showfriendlyerrorstack", "stringnumbers", "allowusernameinuri",
			"noeviction", "sslcertreqs", "sslcacerts", "sslcapath", "sslcertfile", "sslkeyfile", "sslcheckhostname", "skipverify", "abortconnect",
			"allowadmin", "libname", "libversion", "singleclientconnection", "retrystrategy", "keyprefix", "readonly",
		},
		NATS: {
			"reconnect", "maxreconnect", "maxreconnects", "maxreconnectattempts", "reconnectwait", "reconnecttimewait", "allowreconnect", "pinginterval",
			"maxpingsout", "maxpingout", "verbose", "pedantic", "noecho", "norandomize", "randomize", "waitonfirstconnect", "ignoreclusterupdates", "drain",
			"tlsverify", "tlscacert", "tlscert", "tlskey", "tlsfirst", "handshakefirst", "flushtimeout", "draintimeout", "retryonfailedconnect",
		},
	}[k]...)
}

// foreignName returns a name as foreign lists it: programs spell the same option frameMax,
// frame_max, or frame-max.
func foreignName(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", ".", "").Replace(name))
}

// ignores reports whether an option belongs to another program.
func (t transport) ignores(name string) bool {
	return !t.takes(name) && slices.Contains(foreign(t.kind), foreignName(name))
}
