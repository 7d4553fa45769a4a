# npm install of a real package tree, and programs run from it.
# needs: npm=npm node=nodejs

export npm_config_cache=$SHARED/npm npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false npm_config_ignore_scripts=true
packages="typescript@5 eslint@8 webpack@5 jest@29 express@4"
if [ ! -e "$SHARED/lock" ]; then # what comes over the network comes before, once
	mkdir "$SHARED/lock"
	echo '{"name":"tree","version":"1.0.0"}' >"$SHARED/lock/package.json"
	npm --prefix "$SHARED/lock" install $packages >/dev/null
fi
cp "$SHARED/lock/package.json" "$SHARED/lock/package-lock.json" .
step "npm ci" npm ci --prefer-offline >&2
npm ls --depth=0 --parseable | wc -l
find node_modules | wc -l
printf 'const n: number = 42;\nexport const text = `${n}`;\n' >a.ts
step tsc node_modules/.bin/tsc --declaration a.ts
cat a.js a.d.ts
step npx npx --no-install jest --version
tree
step "rm -rf" rm -rf node_modules
