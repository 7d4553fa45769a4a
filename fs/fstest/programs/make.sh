# Many processes that map, write and run files.
# needs: gcc=gcc make=make
unset MAKEFLAGS MAKELEVEL MFLAGS # of the make that runs the tests

n=$(size 6 300)
for i in $(seq "$n"); do echo "int f$i(void){return $i;}" >"f$i.c"; done
{
	for i in $(seq "$n"); do echo "int f$i(void);"; done
	echo "#include <stdio.h>"
	echo "int main(void){printf(\"%d\\n\",0"
	for i in $(seq "$n"); do echo "+f$i()"; done
	echo ");}"
} >main.c
printf 'prog: $(patsubst %%.c,%%.o,$(wildcard *.c))\n\t@gcc -o $@ $^\n%%.o: %%.c\n\t@gcc -c -o $@ $<; echo $<\n' >Makefile
step make make -s -j4 | sort
./prog
make -q
touch f3.c
make
make -q
ar rcD lib.a f*.o && ar t lib.a && ./prog
