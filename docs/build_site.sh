# shellcheck shell=bash
# ./run docs: the documentation as a site. What this calls and does not define is in ../run, which reads this.

site() {
  prepare
  install_site_tools
  heading "the documentation, in site/"
  run_shown .venv/bin/python docs/build_site.py ||
    die "the site was not built: the page that it is about is named above." \
      "Next: correct that page, or docs/mkdocs.yml, which has each page in its place."
  echo "Next: open site/index.html in a browser, from the disk, or serve site/ as files."
}

# Not in netgen's dev, because only this and its tests need it.
install_site_tools() {
  install_extras docs mkdocs-material .venv/installed-docs
}
