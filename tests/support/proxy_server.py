"""A forward proxy that is the only way to AWS, and opens the encryption on the way as a company's does.

Arguments: the folder for ca.pem, and the address of the server behind. It takes CONNECT for any host, answers as
that host with a certificate of its own authority, and passes the requests on. It prints its port as one line of JSON
and then each host that it was asked for, and ends when its standard input does.
"""

import json
import os
import signal
import socket
import ssl
import sys
import threading
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM


def certificate(name, issuer, key, issuer_key, is_authority):
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if not is_authority:
        hosts = ["*.amazonaws.com", "*.us-east-1.amazonaws.com", "*.signin.aws.amazon.com"]
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def tls_context(folder):
    def named(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = certificate(named("Company CA"), named("Company CA"), authority_key, authority_key, True)
    leaf = certificate(named("proxy"), named("Company CA"), key, authority_key, False)
    with open(os.path.join(folder, "ca.pem"), "wb") as file:
        file.write(authority.public_bytes(PEM))
    private = os.path.join(folder, "proxy.pem")
    plain = serialization.NoEncryption()
    with open(private, "wb") as file:
        file.write(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, plain))
        file.write(leaf.public_bytes(PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(private)
    return context


def copy(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    finally:
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def serve(client, context, behind):
    request = b""
    while b"\r\n\r\n" not in request:
        data = client.recv(4096)
        if not data:
            return
        request += data
    method, target, _ = request.split(b"\r\n", 1)[0].split(b" ", 2)
    print(target.decode(), flush=True)
    if method != b"CONNECT":
        client.sendall(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
        return
    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    try:
        opened = context.wrap_socket(client, server_side=True)
    except (OSError, ssl.SSLError):
        return
    server = socket.create_connection(behind)
    threading.Thread(target=copy, args=(server, opened), daemon=True).start()
    copy(opened, server)


def exit_with_stdin():
    sys.stdin.buffer.read()
    os._exit(0)


def main():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=exit_with_stdin, daemon=True).start()
    folder, address = sys.argv[1:]
    host, port = address.rsplit(":", 1)
    context = tls_context(folder)
    listener = socket.create_server(("127.0.0.1", 0))
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client, context, (host, int(port))), daemon=True).start()


if __name__ == "__main__":
    main()
