"""What the bytes of an attachment are, in two words, and whether its file name says something else."""

from __future__ import annotations

_PROGRAM = "Windows program"
_ZIP = "ZIP archive"
_OLE = "Old Office file"

_SIGNATURES = (
    (b"MZ", _PROGRAM),
    (b"\x7fELF", "Linux program"),
    (b"\xcf\xfa\xed\xfe", "macOS program"),
    (b"\xca\xfe\xba\xbe", "Java or macOS program"),
    (b"#!", "Script"),
    (b"%PDF-", "PDF"),
    (b"\x89PNG\r\n\x1a\n", "PNG image"),
    (b"\xff\xd8\xff", "JPEG image"),
    (b"GIF87a", "GIF image"),
    (b"GIF89a", "GIF image"),
    (b"PK\x03\x04", _ZIP),
    (b"PK\x05\x06", _ZIP),
    (b"Rar!", "RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "7z archive"),
    (b"\x1f\x8b", "Gzip archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _OLE),
    (b"{\\rtf", "RTF document"),
)

# What a file with this extension has to be, and how it is then called.
_EXPECTED = {
    "pdf": ("PDF", "PDF"),
    "png": ("PNG image", "PNG image"),
    "jpg": ("JPEG image", "JPEG image"),
    "jpeg": ("JPEG image", "JPEG image"),
    "gif": ("GIF image", "GIF image"),
    "webp": ("WebP image", "WebP image"),
    "zip": (_ZIP, _ZIP),
    "docx": (_ZIP, "Word document"),
    "xlsx": (_ZIP, "Excel workbook"),
    "pptx": (_ZIP, "PowerPoint slides"),
    "odt": (_ZIP, "Text document"),
    "jar": (_ZIP, "Java archive"),
    "doc": (_OLE, "Old Word document"),
    "xls": (_OLE, "Old Excel workbook"),
    "ppt": (_OLE, "Old PowerPoint slides"),
    "msg": (_OLE, "Outlook message"),
    "gz": ("Gzip archive", "Gzip archive"),
    "7z": ("7z archive", "7z archive"),
    "rar": ("RAR archive", "RAR archive"),
    "rtf": ("RTF document", "RTF document"),
    "exe": (_PROGRAM, _PROGRAM),
    "dll": (_PROGRAM, "Windows library"),
    "csv": ("Text", "CSV text"),
    "json": ("Text", "JSON"),
    "jsonl": ("Text", "JSON lines"),
    "xml": ("Text", "XML"),
    "html": ("Text", "HTML"),
    "htm": ("Text", "HTML"),
    "txt": ("Text", "Text"),
    "log": ("Text", "Log text"),
    "md": ("Text", "Markdown"),
    "ics": ("Text", "Calendar"),
    "eml": ("Text", "Mail"),
    "svg": ("Text", "SVG image"),
}

_TYPES = {
    "PNG image": "image/png",
    "JPEG image": "image/jpeg",
    "GIF image": "image/gif",
    "WebP image": "image/webp",
}


def kind_of(content: bytes, filename: str) -> tuple[str, bool]:
    """What the content is, and whether the extension of the file name says something else."""
    found = _sniffed(content)
    extension = filename.rpartition(".")[2].lower() if "." in filename else ""
    expected = _EXPECTED.get(extension)
    if not content or expected is None:
        # A program that does not look like one is the case to warn of, whatever it calls itself.
        return found, bool(extension) and found == _PROGRAM and extension not in {"scr", "com", "sys", "cpl"}
    if found == expected[0]:
        return expected[1], False
    # A short text can begin with "MZ", and so on: trust the name when every byte is plain text.
    if expected[0] == "Text" and _is_text(content) and found != "Script":
        return expected[1], False
    return found, True


def image_type(content: bytes) -> str | None:
    """The media type of an image a browser may show as such; None for everything else, SVG included."""
    return _TYPES.get(_sniffed(content))


def _sniffed(content: bytes) -> str:
    for signature, kind in _SIGNATURES:
        if content.startswith(signature):
            return kind
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WebP image"
    if not content:
        return "Empty"
    return "Text" if _is_text(content) else "Data"


def _is_text(content: bytes) -> bool:
    start = content[:4096]
    return start.startswith((b"\xff\xfe", b"\xfe\xff")) or not any(
        byte < 9 or 13 < byte < 27 or 27 < byte < 32 for byte in start
    )
