"""A private certificate authority for one throw-away server."""

import pathlib
import subprocess

# valid: what a good server shows. The others make one check of a client fail each.
CERTIFICATES = ("valid", "other_host", "expired", "self_signed")

_NAMES = "DNS:localhost,IP:127.0.0.1,IP:127.0.0.2,IP:::1"
_OTHER_NAMES = "DNS:mail.elsewhere.example"


def _openssl(*arguments: str, cwd: pathlib.Path) -> None:
    done = subprocess.run(["openssl", *arguments], cwd=cwd, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments[0]} failed: {done.stderr.strip()}")


def make_certificates(folder: pathlib.Path, kind: str = "valid") -> tuple[pathlib.Path, pathlib.Path, pathlib.Path]:
    """Makes a CA and a server certificate in `folder`; returns the paths (CA, certificate, key), all PEM.

    The keys are P-256, so that a handshake costs little next to what a benchmark measures.
    """
    if kind not in CERTIFICATES:
        raise ValueError(f"certificate must be one of {CERTIFICATES}, not {kind!r}")
    folder.mkdir(parents=True, exist_ok=True)
    ca, certificate, key = folder / "ca.pem", folder / "server.pem", folder / "server.key"
    if ca.exists() and certificate.exists() and key.exists():
        return ca, certificate, key
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    _openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30",
             "-subj", "/CN=Postferry lab CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign", cwd=folder)
    if kind == "self_signed":
        _openssl("req", "-x509", *curve, "-keyout", "server.key", "-out", "server.pem", "-days", "30",
                 "-subj", "/CN=localhost", "-addext", f"subjectAltName={_NAMES}", cwd=folder)
    else:
        names = _OTHER_NAMES if kind == "other_host" else _NAMES
        extensions = folder / "server.ext"
        extensions.write_text(f"subjectAltName={names}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n")
        _openssl("req", "-new", *curve, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost",
                 cwd=folder)
        _openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                 "-days", "-1" if kind == "expired" else "30", "-extfile", extensions.name, "-out", "server.pem",
                 cwd=folder)
    key.chmod(0o600)
    return ca, certificate, key
