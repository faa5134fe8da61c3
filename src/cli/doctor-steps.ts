import type { Step } from '../doctor/context.ts'
import type { Output } from './output.ts'

export interface Steps {
  readonly show: (step: Step) => void
  /** Takes away what was drawn: the result says it all. */
  readonly clear: () => void
}

/** More are not drawn: the latest count. */
const linesMax = 12

/** Draws each step of an examination where a person looks. */
export function createSteps(out: Pick<Output, 'isLive' | 'redraw' | 'paint'>): Steps {
  if (!out.isLive) return { show: () => undefined, clear: () => undefined }
  const steps = new Map<string, Step>()
  const marks: Readonly<Record<Step['state'], string>> = {
    running: out.paint('cyan', '>'),
    passed: out.paint('green', '+'),
    failed: out.paint('red', 'x'),
    skipped: out.paint('dim', '-'),
  }
  return {
    show(step) {
      steps.set(`${step.name} ${step.about ?? ''}`, step)
      out.redraw([...steps.values()].slice(-linesMax).map((one) => lineOf(one, marks[one.state])))
    },
    clear: () => out.redraw([]),
  }
}

function lineOf({ name, about, tookMs }: Step, mark: string): string {
  const took = tookMs === undefined ? '' : `  ${Math.round(tookMs)} ms`
  return `${mark} ${name.padEnd(13)}${about ?? ''}${took}`
}
