import { assert, property, string } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Html, html, type Part } from '../../../src/server/dashboard/html.ts'

describe('a piece of a page', () => {
  it('has nothing of a value as it is that could end a text, a tag or an attribute', () => {
    assert(
      property(string({ unit: 'binary' }), (value) => {
        const inner = html`${value}`.toString()
        expect(inner).not.toMatch(/[<>"'`]/)
        expect(inner.replaceAll(/&(?:amp|lt|gt|quot|#39|#96);/g, '')).not.toContain('&')
        expect(html`<a title="${value}">`.toString()).toBe(`<a title="${inner}">`)
      }),
    )
  })

  it('takes nothing for markup that did not come out of html', () => {
    const pretender = { toString: () => '<script>', text: '<script>' } as unknown as Part
    expect(() => html`${pretender}`.toString()).toThrow(TypeError)
    expect(html`<b>${html`<i>${'<'}</i>`}</b>`.toString()).toBe('<b><i>&lt;</i></b>')
    expect(html`${['<', html`<hr>`, 1, false, null, undefined]}`.toString()).toBe('&lt;<hr>1')
    expect(html`` instanceof Html).toBe(true)
  })

  it('refuses a value that stands for an attribute without quotes', () => {
    expect(() => html`<a href=${'x onclick=y'}>`).toThrow('quotes')
  })

  it('shows no mark that turns the reading direction', () => {
    expect(html`${'a\u202Eb\u0000'}`.toString()).toBe('a\uFFFDb\uFFFD')
  })
})
