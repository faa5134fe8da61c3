const wantsCertificate =
  'The service wants a client certificate: name it with KEYTURN_CLIENT_CERT_FILE and KEYTURN_CLIENT_KEY_FILE.'
const untrusted = 'The certificate is of an authority that is not known here: name it with KEYTURN_CA_FILE.'

/** What to do about a connection to the service that failed with this code of Node. */
export const tlsFixes: Readonly<Record<string, string>> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: wantsCertificate,
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: wantsCertificate,
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  ERR_TLS_CERT_ALTNAME_INVALID: 'The certificate is for another name: set KEYTURN_URL to a name that it has.',
  EPROTO: 'What answers there speaks no TLS: a service on this machine is http://, not https://.',
}
