"""Messages made by hand, octet by octet, with what a reader must find in them."""

from bed.readers import Attachment, Mail

NESTED = b"""\
From: =?utf-8?q?J=C3=BCrgen?= <j@mail.test>
To: "Joe, PhD" <joe@mail.test>, plain@mail.test
Cc: =?utf-8?b?5pel5pys?= <nihon@mail.test>
Subject: =?utf-8?b?8J+YgPCfmIA=?=
 =?utf-8?b?8J+YgCBhbmQg?= =?utf-8?q?caf=C3=A9?=
Message-ID: <1@mail.test>
X-Two: 1
X-Two: 2
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="outer"

--outer
Content-Type: multipart/related; boundary="middle"; type="multipart/alternative"

--middle
Content-Type: multipart/alternative; boundary="inner"

--inner
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

gr=C3=BC=
n
.dot

--inner
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: base64

PHA+Z3LDvG48L3A+
--inner--

--middle
Content-Type: image/png
Content-Transfer-Encoding: base64
Content-ID: <logo@mail.test>
Content-Disposition: inline; filename="logo.png"

iVBORw0KGgo=
--middle--

--outer
Content-Type: application/octet-stream
Content-Transfer-Encoding: base64
Content-Disposition: attachment;
 filename*=utf-8''%E6%97%A5%E6%9C%AC%20%F0%9F%98%80.bin

AAECAw==
--outer--
""".replace(b"\n", b"\r\n")

NESTED_READ = Mail(
    subject="😀😀😀 and café",
    from_=[("Jürgen", "j@mail.test")],
    to=[("Joe, PhD", "joe@mail.test"), ("", "plain@mail.test")],
    cc=[("日本", "nihon@mail.test")],
    header_names=sorted(
        ["from", "to", "cc", "subject", "message-id", "x-two", "x-two", "mime-version", "content-type"]
    ),
    text="grün\n.dot\n",
    html="<p>grün</p>",
    attachments=[
        Attachment("logo.png", "image/png", b"\x89PNG\r\n\x1a\n", "logo@mail.test"),
        Attachment("日本 😀.bin", "application/octet-stream", b"\x00\x01\x02\x03", None),
    ],
)

# Each file name with the Content-Disposition that carries it.
FILE_NAMES = {
    'a "quoted" b.txt': rb'attachment; filename="a \"quoted\" b.txt"',
    "a\\b.txt": rb'attachment; filename="a\\b.txt"',
    "semi;colon.txt": b'attachment; filename="semi;colon.txt"',
    "it's 100%.txt": b'attachment; filename="it\'s 100%.txt"',
    "UTF-8''x.txt": b"attachment; filename=\"UTF-8''x.txt\"",
    "a" * 150 + "é.txt": b"attachment;\r\n filename*0*=utf-8''" + b"a" * 60 + b";\r\n filename*1="
    b'"' + b"a" * 60 + b'";\r\n filename*2*=' + b"a" * 30 + b"%C3%A9;\r\n filename*3=.txt",
    "x" * 90 + ".txt": b'attachment;\r\n filename*0="'
    + b"x" * 60
    + b'";\r\n filename*1="'
    + b"x" * 30
    + b'.txt"',
}


def with_file_name(disposition: bytes) -> bytes:
    """A message whose only attachment has this Content-Disposition."""
    return (
        b"From: a@mail.test\r\nTo: b@mail.test\r\nSubject: name\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhello\r\n"
        b"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
        b"Content-Disposition: " + disposition + b"\r\n\r\nAAEC\r\n--b--\r\n"
    )
