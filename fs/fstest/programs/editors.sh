# How editors save, each in the order of system calls that the program makes.

printf one >doc
ln -s doc link
for i in 1 2 3; do
	# vim, backupcopy=no: a number as a trial name, the old file to doc~, a new one in its place
	: >4913 && rm 4913 && mv doc doc~ && printf "vim $i" >doc && sync doc && chmod 644 doc && rm doc~ && cat doc && echo
	# vim, backupcopy=yes: a copy aside, then truncated in place
	cp -p doc doc~ && printf "in place $i" >doc && sync doc && rm doc~ && cat doc && echo
	# emacs: a lock that is a link to nowhere, the old file to doc~, written anew
	ln -s "user@host.$i:1" .#doc && cp -p doc doc~ && printf "emacs $i" >doc && sync doc && rm .#doc doc~ && cat link && echo
	# LibreOffice: a lock file, a temporary file beside it, renamed over the old one
	printf ',user,host,;' >.~lock.doc# && printf "office $i" >lu1.tmp && mv lu1.tmp doc && rm .~lock.doc# && cat doc && echo
	# VS Code: truncated in place; or atomically: a temporary file with the mode of the old one
	: >doc && printf "code $i" >doc && cat doc && printf "atomic $i" >doc.tmp && chmod --reference=doc doc.tmp && sync doc.tmp && mv doc.tmp doc && cat doc && echo
	# gedit and others: the old file is linked aside, the new one renamed over
	ln doc doc.bak && printf "gedit $i" >.goutputstream && mv .goutputstream doc && cat doc.bak doc && rm doc.bak && echo
	sed -i "s/gedit/sed/" doc && perl -i -pe 's/sed/perl/' doc && cat doc && echo
done
tree
