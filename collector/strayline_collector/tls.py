"""TLS for every door: certificate, key and, for mutual TLS, who signs the clients' certificates."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from strayline_collector.errors import UsageError


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files. With ``client_ca`` only clients with a certificate signed there come in."""

    cert: Path
    key: Path
    client_ca: Path | None = None

    def context(self) -> ssl.SSLContext:
        """For the doors that speak HTTP: TLS 1.2 and later. Raises ``UsageError`` naming the
        option whose file cannot be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        _read(self.cert, "--tls-cert")
        _read(self.key, "--tls-key")
        try:
            context.load_cert_chain(self.cert, self.key, password=_no_passphrase)
        except ssl.SSLError as error:
            raise UsageError(self._refusal(error)) from None
        if self.client_ca is not None:
            _read(self.client_ca, "--tls-client-ca")
            try:
                context.load_verify_locations(self.client_ca)
            except ssl.SSLError:
                raise UsageError(
                    f"--tls-client-ca {self.client_ca}: holds no certificate in PEM"
                ) from None
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """The same for gRPC, whose library is at TLS 1.2 and later by itself."""
        return grpc.ssl_server_credentials(
            [(_read(self.key, "--tls-key"), _read(self.cert, "--tls-cert"))],
            root_certificates=None
            if self.client_ca is None
            else _read(self.client_ca, "--tls-client-ca"),
            require_client_auth=self.client_ca is not None,
        )

    def complaint(self) -> str | None:
        """What clients that verify will say of the certificate's dates, if anything: found by
        shaking hands with ourselves, trusting this one certificate."""
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(self.cert, self.key, password=_no_passphrase)
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False
        client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        client.load_verify_locations(self.cert)
        try:
            _handshake(client, server)
        except ssl.SSLCertVerificationError as error:
            return f"--tls-cert {self.cert}: {error.verify_message}; clients will refuse it"
        except ssl.SSLError:
            return None
        return None

    def _refusal(self, error: ssl.SSLError) -> str:
        reason = error.reason or str(error)
        if "MISMATCH" in reason:
            return f"--tls-key {self.key}: not the key of --tls-cert {self.cert}"
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(self.cert)
        except ssl.SSLError:
            return f"--tls-cert {self.cert}: holds no certificate in PEM"
        return f"--tls-key {self.key}: holds no private key in PEM that opens without a passphrase"


def _handshake(client: ssl.SSLContext, server: ssl.SSLContext) -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(10):  # a handshake takes three rounds
        for end in list(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                continue


def _no_passphrase() -> str:
    """Instead of OpenSSL's question on the terminal."""
    return ""


def _read(file: Path, option: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{option} {file}: cannot be read: {(error.strerror or str(error)).lower()}"
        ) from None
