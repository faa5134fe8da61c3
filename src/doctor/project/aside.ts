/** Tests, examples and documents show what is wrong on purpose, and hold keys that are none. */
const aside =
  /(?:^|\/)(?:tests?|__tests__|specs?|fixtures?|__fixtures__|mocks?|__mocks__|examples?|samples?|docs?|e2e)\/|(?:^|\/)(?:test_[^/]*|conftest|[^/]*_test)\.(?:py|go)$|\.(?:test|spec)\.[cm]?[jt]sx?$|_spec\.rb$|\.(?:md|mdx|rst|adoc|txt)$/i

export function isAside(path: string): boolean {
  return aside.test(path)
}

/** The same by the folder alone: a `requirements.txt` is no document. */
export function isInAside(path: string): boolean {
  return isAside(path.slice(0, path.lastIndexOf('/') + 1))
}
