import { App } from './app.ts'
import { SimIssuer } from './issuer.ts'
import { SimLedger } from './ledger.ts'
import type { SimOptions } from './options.ts'
import { Replica } from './replica.ts'
import { Sim } from './sim.ts'
import { SimStore } from './store.ts'
import { Watch } from './watch.ts'

/** One whole fleet in one process. */
export class World {
  readonly sim: Sim
  readonly issuer: SimIssuer
  readonly ledger: SimLedger
  readonly stores = new Map<string, readonly SimStore[]>()
  readonly replicas: readonly Replica[]
  readonly apps: readonly App[]
  readonly watch: Watch

  constructor(options: SimOptions, isLoud = false) {
    const sim = new Sim(options, isLoud)
    this.sim = sim
    this.issuer = new SimIssuer(sim)
    this.ledger = new SimLedger(sim)
    for (const { name, mirrors, isStocked } of sim.options.credentials) {
      const names = [name, ...Array.from({ length: mirrors }, (_, index) => `mirror${index + 1}/${name}`)]
      const stores = names.map((one) => new SimStore(sim, one))
      this.stores.set(name, stores)
      if (isStocked) stores[0]?.byHand(this.issuer.make({ madeBy: 'person' }).secret)
    }
    this.watch = new Watch(this)
    this.replicas = Array.from({ length: sim.options.replicas }, (_, index) => new Replica(this, index))
    this.apps = sim.options.credentials.flatMap(({ name, apps }) =>
      Array.from({ length: apps }, (_, index) => new App(this, name, index)),
    )
  }

  /** The store first, then its mirrors. */
  readonly storesOf = (name: string): readonly SimStore[] => this.stores.get(name) ?? []

  start(): void {
    for (const replica of this.replicas) replica.start()
    for (const app of this.apps) app.start()
  }
}
