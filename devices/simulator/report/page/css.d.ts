/** Styles are imported beside what they style; build.js puts them into the page. */
declare module '*.css'
