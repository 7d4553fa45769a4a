# A Maildir: mails are delivered in parallel while a reader moves them on and flags them; none is lost or read half.

n=$(size 40 3000)
mkdir -p box/tmp box/new box/cur
deliver() { # NAME: by the rules, every file synced before it shows
	perl -MIO::Handle -e 'my ($who, $n) = @ARGV;
		for my $i (1 .. $n) {
			my $name = "$i.$who.host";
			open(my $f, ">", "box/tmp/$name") or die "open: $!";
			print $f "From: $who\n\n", "line $i of $who\n" x ($i % 500 + 1);
			$f->flush and $f->sync or die "sync: $!";
			close($f) or die "close: $!";
			if ($i % 2) { link("box/tmp/$name", "box/new/$name") or die "link: $!"; unlink("box/tmp/$name") or die "unlink: $!" }
			else { rename("box/tmp/$name", "box/new/$name") or die "rename: $!" }
		}' "$1" "$n"
}
read_all() { # until all have come
	perl -e 'my ($left) = @ARGV;
		while ($left > 0) {
			opendir(my $d, "box/new") or die "opendir: $!";
			for my $name (grep { !/^\./ } readdir $d) {
				open(my $f, "<", "box/new/$name") or die "open: $!";
				my ($i, $who) = split /\./, $name;
				my @lines = <$f>;
				@lines == $i % 500 + 3 && $lines[-1] eq "line $i of $who\n" or die "$name is half";
				rename("box/new/$name", "box/cur/$name:2,S") or die "rename: $!";
				$left--;
			}
		}' $((3 * n))
}
mail() { # delivery and reading together
	local jobs=() j
	for who in alice bob carol; do deliver $who & jobs+=($!); done
	read_all & jobs+=($!)
	for j in "${jobs[@]}"; do wait "$j"; done
}
step maildir mail
remount
tree
