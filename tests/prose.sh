#!/bin/bash
# Checks the English of comments and pages, so that a reader never needs to read a sentence twice. It finds
# - sentences that begin with a pronoun or a genitive in place of a subject ("What is late is dropped.");
# - lines of pages that are longer than 120 columns, except tables and code blocks.
#
#   tests/prose.sh             all files of the repository
#   tests/prose.sh PATH...     only these files and folders
set -uo pipefail
cd "$(dirname "$0")/.."

git ls-files -z -- "${@:-.}" | xargs -0 perl -CSD -Mutf8 -e '
  use strict;
  my $found = 0;
  # These words in place of a subject. A question may begin with them.
  my $bad = qr/(?:What|Who|Whom|Whoever|Whatever|Whichever|Of)\b/;
  sub report { my ($file, $line, $text) = @_; $found++; print "$file:$line: $text\n"; }

  # The sentences of a paragraph, each with the number of its first line. Text in backquotes and quotes is not ours.
  sub check {
    my ($file, @lines) = @_;
    my ($text, @starts) = ("");
    for (@lines) { push @starts, [length $text, $_->[0]]; $text .= "$_->[1] "; }
    $text =~ s/(`[^`]*`|"[^"]*")/"x" x length $1/ge;
    while ($text =~ /(?:^|[.!?:] +|\)\. +)($bad[^.!?]*)([.!?]|$)/g) {
      my ($sentence, $end, $at) = ($1, $2, $-[1]);
      next if $end eq "?";
      my $line = $lines[0][0];
      for (@starts) { $line = $_->[1] if $_->[0] <= $at; }
      $sentence = substr($sentence, 0, 60);
      report($file, $line, "a sentence begins without a subject: $sentence");
    }
  }

  for my $file (@ARGV) {
    next unless -f $file && $file !~ m{(?:^|/)(?:fixtures|seeds)/|package-lock\.json$};
    my $page = $file =~ /\.md$/;
    my $mark = $file =~ /\.(?:h|cc|c|js|mjs)$/ ? qr{//} : $file =~ /(?:\.(?:sh|cmake|txt|py)|CMakeLists\.txt)$/ ? qr{#} : undef;
    next unless $page || $mark;
    open my $in, "<", $file or next;
    my ($fenced, @paragraph, $open) = (0);
    my $flush = sub { check($file, @paragraph) if @paragraph; @paragraph = (); };
    while (my $line = <$in>) {
      chomp $line;
      if ($page) {
        if ($line =~ /^\s*```/) { $fenced = !$fenced; $flush->(); next; }
        if ($fenced || $line =~ /^(?:    |\t|\||#|<)/ || $line !~ /\S/) {
          $flush->();
          if (!$fenced && $line =~ /^\|/) {  # each cell is a text of its own
            check($file, [$., $_]) for map { s/^\s+|\s+$//gr } grep { /\S/ } split /(?<!\\)\|/, $line;
          }
          next;
        }
        report($file, $., "longer than 120 columns") if length $line > 120;
        $flush->() if $line =~ /^\s*(?:[-*]|\d+\.) /;
        push @paragraph, [$., $line =~ s/^\s*(?:(?:[-*]|\d+\.) )?(?:\*\*)?//r];
        next;
      }
      if ($line =~ /^\s*$mark+ ?(.*)$/ && $1 !~ /^!/) {
        my $words = $1;
        if ($words !~ /\S/ || $words =~ /^\s*-{3,}/) { $flush->(); next; }
        $flush->() if $words =~ /^\s*(?:[-*]|\d+\.) /;
        push @paragraph, [$., $words =~ s/^\s*(?:(?:[-*]|\d+\.) )?//r];
      } else {
        $flush->();
        check($file, [$., $1]) if $line =~ m{\S\s+$mark +(.+)$} && $line !~ m{https?:$mark};
      }
    }
    $flush->();
    close $in;
  }
  exit($found ? 1 : 0);
'
