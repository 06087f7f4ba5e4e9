/** Begins the page. Its own styles come first, so that a view's go before them. */

import './page.css'
import { render } from 'preact'
import { App } from './app.tsx'

render(<App />, document.getElementById('app') as HTMLElement)
