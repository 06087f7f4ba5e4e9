/** Begins the page. */

import { render } from 'preact'
import { App } from './app.tsx'
import './page.css'

render(<App />, document.getElementById('app') as HTMLElement)
