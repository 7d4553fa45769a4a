# Vim and Emacs themselves, with the ways that they can be told to save.
# needs: vim=vim emacs=emacs-nox

printf 'one\n' >doc
ln doc hard
ln -s doc soft
for copy in yes no auto; do
	for name in doc soft; do
		vim -u NONE -N -n -es -c "set backupcopy=$copy backup backupskip= fsync" -c 's/.*/vim '$copy' '$name'/' -c 'x' $name
		cat doc $name~ hard
	done
	vim -u NONE -N -es -c "set undofile writebackup" -c 's/$/!/' -c 'x' doc # with a swap file
	cat doc
done
for copying in t nil; do
	emacs -Q --batch doc --eval "(setq backup-by-copying $copying)" --eval '(insert "emacs ")' -f save-buffer 2>&1 | grep -v '^Wrote\|^Saving' || true
	cat doc doc~ hard
done
emacs -Q --batch doc --eval '(setq create-lockfiles t)' --eval '(progn (insert "locked ") (print (file-locked-p buffer-file-name)) (print (file-symlink-p ".#doc")))' -f do-auto-save 2>&1 | grep -c '@'
ls -A | grep -v undo
