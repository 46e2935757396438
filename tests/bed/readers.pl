# Reads messages with Email::MIME: a decimal length and a newline, then so many octets, again and again.
# Answers each with one line of JSON that gives lengths, and then the octets: text, html, attachments.
use strict;
use warnings;
use Email::Address::XS;
use Email::MIME;
use Email::MIME::ContentType qw(parse_content_type);
use Encode ();
use JSON::PP;

binmode STDIN;
binmode STDOUT;
$| = 1;
my $json = JSON::PP->new->ascii->canonical->allow_nonref;

# RFC 2047, without Encode's habit of reading encoded words inside quoted strings of an address
sub decoded { my ($raw) = @_; return defined $raw ? Encode::decode('MIME-Header', $raw) : '' }

sub unfolded { my ($raw) = @_; return undef unless defined $raw; $raw =~ s/\r?\n(?=[ \t])//g; return $raw }

sub mailboxes {
    my ($mail, $name) = @_;
    my @found;
    for my $raw (map { unfolded($_) } $mail->header_raw($name)) {
        for my $address (Email::Address::XS::parse_email_addresses(Encode::decode('UTF-8', $raw))) {
            push @found, [decoded($address->phrase), $address->address // ''];
        }
    }
    return \@found;
}

sub leaves { my ($part) = @_; my @inner = $part->subparts; return @inner ? map { leaves($_) } @inner : ($part) }

sub text_of {
    my ($part) = @_;
    my $charset = parse_content_type($part->content_type // '')->{attributes}{charset} // 'us-ascii';
    return Encode::encode('UTF-8', Encode::decode($charset, $part->body, Encode::FB_CROAK));
}

sub answer {
    my ($raw) = @_;
    my $mail = Email::MIME->new(\$raw);
    my ($text, $html, @attachments, @contents);
    for my $part (leaves($mail)) {
        my ($type) = split /[;\s]/, lc($part->content_type // 'text/plain');
        my $disposition = lc($part->header_raw('Content-Disposition') // '');
        my $name = $part->filename;
        my $body = !defined $name && $disposition !~ /^\s*attachment/;
        if ($body && $type eq 'text/plain' && !defined $text) { $text = text_of($part) }
        elsif ($body && $type eq 'text/html' && !defined $html) { $html = text_of($part) }
        else {
            my $id = $part->header_raw('Content-ID');
            $id =~ s/^\s*<(.*)>\s*$/$1/s if defined $id;
            push @contents, $part->body;
            push @attachments, [$name, $type, length $contents[-1], $id];
        }
    }
    my @names = $mail->header_raw_pairs;
    my $found = {
        subject => decoded(unfolded($mail->header_raw('Subject'))),
        from => mailboxes($mail, 'From'), to => mailboxes($mail, 'To'), cc => mailboxes($mail, 'Cc'),
        header_names => [map { $names[2 * $_] } 0 .. $#names / 2],
        text => defined $text ? length $text : undef,
        html => defined $html ? length $html : undef,
        attachments => \@attachments,
    };
    return ($found, $text // '', $html // '', @contents);
}

while (defined(my $length = <STDIN>)) {
    read(STDIN, my $raw, $length) == $length or last;
    local $SIG{__WARN__} = sub { };
    my ($found, @octets) = eval { answer($raw) };
    print $json->encode($found // { error => "$@" }), "\n", @octets;
}
