"""The report: index.html of a data set, one page that needs nothing else to be looked at.

survey    numbers of all rows of the manifest, row group by row group
looks     a few dozen samples, read back and reduced to what the page shows
inputs    the pictures that it was made of: near-blank ones, and ones that look alike
findings  warnings in words, and the bands that means and deviations should lie in
charts    the distributions, as inline SVG by matplotlib
loading   how to load this very data set, as code
markup    HTML that is escaped unless it is known to be markup
sections  the parts of the page
page      all of it together
sheet     one sample as a picture (`fgbg show`)
"""
